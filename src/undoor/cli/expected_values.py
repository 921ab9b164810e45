"""What the options of a command take, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

NUMBERS = {int: "a whole number", float: "a number"}


def expected_value(command: Callable[..., Any], parameter: str) -> str | None:
    """Return what an option takes: one of some words, or a number in a range; None for others.

    Parameters
    ----------
    command
        The function behind the command, with annotations as typer reads them.
    parameter
        Its name there.

    Examples
    --------
    >>> import typer
    >>> from typing import Annotated
    >>> def draw(
    ...     kind: Annotated[Literal["circle", "square"], typer.Option()],
    ...     size: Annotated[int | None, typer.Option(min=1)] = None,
    ... ) -> None:
    ...     pass
    >>> expected_value(draw, "kind"), expected_value(draw, "size")
    ('circle or square', 'a whole number of at least 1')
    """
    hint = get_type_hints(command, include_extras=True).get(parameter)
    if not get_args(hint):
        return None
    kind, option = get_args(hint)[0], get_args(hint)[1]
    for choice in (kind, *get_args(kind)):
        if get_origin(choice) is Literal:
            *others, last = get_args(choice)
            return f"{', '.join(others)} or {last}" if others else str(last)
        if choice in NUMBERS:
            return NUMBERS[choice] + _range(option.min, option.max)
    return None


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return "" if high is None else f" of at most {high:g}"
