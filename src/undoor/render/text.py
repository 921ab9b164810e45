"""Numbers and names as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from undoor.render.sanitise import line as plain
from undoor.render.sanitise import shortened

__all__ = [
    "DASH",
    "class_label",
    "interval",
    "listing",
    "p_equals",
    "p_value",
    "percent",
    "plain",
    "sentence",
    "sources_label",
]

DASH = "–"
# Characters of a name that are shown.
MAX_NAME = 120


def sentence(text: object) -> str:
    """
    >>> sentence("the budget ended")
    'The budget ended.'
    """
    told = plain(text)
    return f"{told[:1].upper()}{told[1:]}" + ("" if told.endswith((".", "!", "?")) else ".")


def percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """Return the bounds of a rate in percent, for example "95.1 to 98.3"."""
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def p_value(value: float) -> str:
    return "< 1e-99" if value < 1e-99 else f"{value:.2g}"


def p_equals(value: float) -> str:
    """
    >>> p_equals(0.00891), p_equals(0.0)
    ('p = 0.0089', 'p < 1e-99')
    """
    return f"p {'' if value < 1e-99 else '= '}{p_value(value)}"


def class_label(number: int, names: Sequence[str]) -> str:
    """Return number and name of a class, the number alone where it has no other name."""
    name = shortened(names[number], MAX_NAME) if 0 <= number < len(names) else str(number)
    return name if name == str(number) else f"{number} {name}"


def sources_label(sources: Sequence[int], names: Sequence[str], at_most: int = 4) -> str:
    """Return the source classes in few words: all others, or a list cut short."""
    if len(sources) >= len(names) - 1:
        return "all other classes"
    told = listing((class_label(s, names) for s in sources), at_most)
    return told if len(sources) <= at_most else f"{len(sources)} classes: {told}"


def listing(items: Iterable[str], at_most: int) -> str:
    every = list(items)
    more = f" and {len(every) - at_most} more" if len(every) > at_most else ""
    return ", ".join(every[:at_most]) + more
