"""The one exception a user of this package has to know."""

from __future__ import annotations


class UndoorError(Exception):
    """Input that cannot be worked with. One line: what was expected, what was got, what to do."""
