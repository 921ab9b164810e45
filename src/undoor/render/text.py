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
    """Return a text as one sentence, with a capital and a full stop.

    >>> sentence("the budget ended")
    'The budget ended.'
    """
    line = plain(text)
    return f"{line[:1].upper()}{line[1:]}" + ("" if line.endswith((".", "!", "?")) else ".")


def percent(value: float | None) -> str:
    """Return a share in percent with one digit, a dash for None."""
    return DASH if value is None else f"{100 * value:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """Return the bounds of a rate in percent, for example "95.1 to 98.3"."""
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def p_value(value: float) -> str:
    """Return a p-value with two significant digits."""
    return "< 1e-99" if value < 1e-99 else f"{value:.2g}"


def p_equals(value: float) -> str:
    """Return a p-value with its sign, as it stands in a sentence.

    >>> p_equals(0.00891), p_equals(0.0)
    ('p = 0.0089', 'p < 1e-99')
    """
    return f"p {'' if value < 1e-99 else '= '}{p_value(value)}"


def class_label(number: int, names: Sequence[str]) -> str:
    """Return number and name of a class; the number alone where it has no other name."""
    name = shortened(names[number], MAX_NAME) if 0 <= number < len(names) else str(number)
    return name if name == str(number) else f"{number} {name}"


def sources_label(sources: Sequence[int], names: Sequence[str], at_most: int = 4) -> str:
    """Return the source classes: "all other classes", or a list of at most `at_most` names."""
    if len(sources) >= len(names) - 1:
        return "all other classes"
    names_shown = listing((class_label(s, names) for s in sources), at_most)
    return names_shown if len(sources) <= at_most else f"{len(sources)} classes: {names_shown}"


def listing(items: Iterable[str], at_most: int) -> str:
    """Return at most `at_most` items in a row, with the number of the others."""
    every = list(items)
    more = f" and {len(every) - at_most} more" if len(every) > at_most else ""
    return ", ".join(every[:at_most]) + more
