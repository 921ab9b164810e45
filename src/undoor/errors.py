"""The exceptions a user of this package has to know."""

from __future__ import annotations


class UndoorError(Exception):
    """An input that undoor cannot work with.

    The message is one line: what was expected, what was found, and what to do.
    """


class UsageError(UndoorError):
    """An option or argument of the command line that undoor cannot work with."""


class BudgetEnded(UndoorError):  # noqa: N818 - a budget that ends is not an error
    """The budget of passes or seconds ended before the work; no partial result is returned."""
