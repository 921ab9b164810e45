"""The exceptions a user of this package has to know."""

from __future__ import annotations


class UndoorError(Exception):
    """Input that cannot be worked with. One line: what was expected, what was got, what to do."""


class UsageError(UndoorError):
    """An option or argument of the command line that cannot be worked with."""


class BudgetEnded(UndoorError):  # noqa: N818 - a budget that ends is no fault of anybody's
    """The budget of passes or seconds ended before the work did; nothing half-done is returned."""
