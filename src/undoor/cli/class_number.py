"""Classes as a user names them on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from undoor.errors import UsageError


def class_number(text: str, option: str, names: Sequence[str]) -> int:
    """Return the class that `text` names, by number or by name."""
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise UsageError(
        f"{option}: expected a class of the model, 0 to {len(names) - 1} or its name, got {text!r}"
    )
