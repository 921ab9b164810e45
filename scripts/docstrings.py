"""Docstrings of this project as the reference reads them."""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTION = re.compile(r"(?:Parameters|Attributes|Raises)\n-+\n(?:.+\n?)+")
ENTRY = re.compile(r"^(\w[\w, ]*) : (.*(?:\n {4}.*)*)", re.MULTILINE)


class Parameters(griffe.Extension):
    """What stands behind `name :` says what it is, and is no type: signatures have the types."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Put the text of each entry below its name, where readers of numpy's style look for it."""
        if obj.docstring:
            obj.docstring.value = SECTION.sub(_below, obj.docstring.value)


def _below(section: re.Match[str]) -> str:
    return ENTRY.sub(lambda m: f"{m[1]}\n    {m[2]}", section[0])
