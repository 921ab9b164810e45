"""Names that keep a pickled module from being opened even where it is trusted."""

from __future__ import annotations

import _compat_pickle
import re
import sys

from undoor.load.beside import is_beside

# What pickles of modules need of the standard library; they need nothing else of it.
NEEDED = re.compile(
    r"collections\.(OrderedDict|Counter|defaultdict|deque)"
    r"|_?_?(builtins?)(__)?\.(set|frozenset|dict|list|tuple|slice|range|complex|bytearray|object"
    r"|int|float|bool|str|bytes)"
    r"|_codecs\.encode|functools\.partial|copyreg\._reconstructor|copy_reg\._reconstructor"
)


def is_foreign(name: str) -> bool:
    """Return whether a pickled module that names this global is refused.

    Examples
    --------
    >>> is_foreign("os.system"), is_foreign("argparse.Namespace"), is_foreign("vendor.Net")
    (True, False, False)
    """
    root = name.partition(".")[0]
    # Names of Python 2, too, which unpicklers translate.
    standard = root in sys.stdlib_module_names or root in _compat_pickle.IMPORT_MAPPING
    return not root.isidentifier() or (
        standard and not NEEDED.fullmatch(name) and not is_beside(name)
    )
