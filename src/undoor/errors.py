"""The exceptions a user of this package has to know."""

from __future__ import annotations


class UndoorError(Exception):
    """An input that undoor cannot work with.

    The message is one line: what was expected, what was found, and what to do.
    """


class UsageError(UndoorError):
    """An option or argument of the command line that undoor cannot work with."""


class BudgetEnded(UndoorError):  # noqa: N818 - a budget that ends is not an error
    """The budget of passes or seconds ended before the work; no partial result is returned.

    Attributes
    ----------
    passes
        Sample passes that were spent.
    seconds
        Of wall-clock time.
    advice
        What to do; None for what a caller in Python can do.
    """

    def __init__(self, passes: float, seconds: float, advice: str | None = None) -> None:
        self.passes, self.seconds, self.advice = passes, seconds, advice
        way_out = advice or (
            "give a larger one, as budget=undoor.Budget(passes=..., seconds=...) or max_seconds=..."
        )
        super().__init__(
            f"the budget ended after {passes:,.0f} sample passes and {seconds:.0f} s; {way_out}"
        )


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error of a library; its type where it has no message.

    >>> first_line(ValueError("no such axis\nat line 3")), first_line(KeyboardInterrupt())
    ('no such axis', 'KeyboardInterrupt')
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
