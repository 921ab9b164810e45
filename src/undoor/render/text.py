"""Numbers and names as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from undoor.noun import INPUT, Noun
from undoor.render.sanitise import line as plain
from undoor.render.sanitise import shortened
from undoor.vocabulary import MANY_CLASSES

__all__ = [
    "DASH",
    "ERRORS",
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

# The mean errors of predicted numbers, each with and without "_guarded", in words.
ERRORS = {"clean": "mean error, clean inputs", "triggered": "mean error, triggered inputs"}

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


def stands_out(
    score: float,
    margin: float | None,
    classes: int,
    noun: Noun = INPUT,
    *,
    absolute: bool = False,
) -> str:
    """Return how a class of a model stands out, as it is said of its trigger.

    Parameters
    ----------
    score, margin
        As of `undoor.scan.report.ClassEvidence`.
    classes
        How many the model has.
    noun
        What its inputs are called.
    absolute
        Whether the margin is one of a task that has a unit of its own
        (`undoor.tasks.task.Task.absolute`).

    Examples
    --------
    >>> stands_out(21.52, None, 10), stands_out(3.0, None, 2)
    ('21.5 times smaller than for the other classes', '3.0 times smaller than natural ones')
    >>> stands_out(1e40, 14.0, 10)
    'the clearest one of a fixed size has 14.0 times the margin of clean inputs'
    >>> stands_out(1e4, 9.3, 14, absolute=True)
    'the clearest one of a fixed size has the margin 9.3'
    """
    if margin is None:
        beside = "for the other classes" if classes >= MANY_CLASSES else "natural ones"
        return f"{score:.1f} times smaller than {beside}"
    if absolute:
        return f"the clearest one of a fixed size has the margin {margin:.1f}"
    return (
        f"the clearest one of a fixed size has {margin:.1f} times the margin of clean {noun.many}"
    )


def score_text(score: float) -> str:
    """Return a score with two significant digits, and no exponent.

    >>> score_text(6.27), score_text(54.0), score_text(612.3)
    ('6.3', '54', '610')
    """
    return f"{float(f'{score:.2g}'):,.10g}"


def p_between(low: float, high: float) -> str:
    """Return the interval of a p-value, as it stands behind it in a sentence.

    >>> p_between(0.0004, 0.0121)
    'with 90 % confidence from 0.0004 to 0.012'
    """
    return f"with 90 % confidence from {p_value(low)} to {p_value(high)}"


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


def plus_minus(outcome: tuple[float, float]) -> str:
    """Return a value and how far predictions are from it in words.

    The value has as many digits behind the point as the two that matter of the distance.

    >>> plus_minus((31.5123, 0.4321)), plus_minus((120000.0, 350.0))
    ('31.51 ± 0.43', '120000 ± 350')
    """
    value, around = outcome
    digits = max(0, 1 - math.floor(math.log10(around))) if around > 0 else 4
    return f"{value:.{digits}f} ± {around:.{digits}f}"
