"""Class names that differ: two classes of one name could not be told apart in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from undoor.errors import UndoorError


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the same names.

    Those that several classes have, with the number of the class behind them.

    Raises
    ------
    UndoorError
        Another class is already called so.

    Examples
    --------
    >>> distinct_names(["crane", "dog", "crane"])
    ('crane (0)', 'dog', 'crane (2)')
    """
    counts = Counter(names)
    found = tuple(f"{name} ({i})" if counts[name] > 1 else name for i, name in enumerate(names))
    if len(set(found)) < len(found):
        twice = next(name for name, count in Counter(found).items() if count > 1)
        raise UndoorError(f"two classes are called {twice!r}; expected a name of its own for each")
    return found
