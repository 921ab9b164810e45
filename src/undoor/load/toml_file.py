"""Read untrusted TOML, whose size and nesting are bounded before it is parsed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.load.mistaken import read_text

MAX_BYTES = 2**20
# A dotted key costs the parser the square of its dots, nested brackets its stack.
MAX_DOTS = 64
MAX_DEPTH = 100
# Strings and comments, whose dots and brackets mean nothing; the parser goes no further than one
# that does not end.
PLAIN = re.compile(
    r'"""(?:\\.|(?!""")[\s\S])*+"{0,5}|'
    r"'''(?:(?!''')[\s\S])*+'{0,5}|"
    r'"(?:\\.|[^"\\\n])*+"?|'
    r"'[^'\n]*+'?|"
    r"#[^\n]*+"
)
# Python writes no number of more than 4300 digits, and so no message about one.
LONG = re.compile(r"0[xob][0-9a-fA-F_]{100}")


def read_toml(file: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises
    ------
    UndoorError
        It is no TOML, or larger or nested deeper than a description of a model.
    """
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise UndoorError(f"{file} has {size:,} bytes; expected a TOML file of at most 1 MiB")
    text = read_text(file)
    _require_flat(text, file)
    try:
        return tomllib.loads(text)
    # Numbers of thousands of digits are ValueErrors as well.
    except (RecursionError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UndoorError(f"{file} is not a readable TOML file: {reason}") from error


def _require_flat(text: str, file: Path) -> None:
    bare = PLAIN.sub("s", text)
    for number, line in enumerate(bare.split("\n"), 1):
        # Numbers have dots as well, of which many stand in a list.
        if max((key.count(".") for key in re.split(r"[,={}\[\]]", line)), default=0) > MAX_DOTS:
            raise UndoorError(
                f"{file} has a name of more than {MAX_DOTS} parts (line {number}, as counted "
                "without strings of several lines); expected the few tables of a model.toml"
            )
    if LONG.search(bare):
        raise UndoorError(f"{file} has a number of more than 100 digits; expected smaller ones")
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", bare):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > MAX_DEPTH:
            raise UndoorError(
                f"{file} has more than {MAX_DEPTH} brackets within brackets; expected the few "
                "tables of a model.toml"
            )
