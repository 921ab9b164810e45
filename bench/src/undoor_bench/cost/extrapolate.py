"""From the classes whose masks were inverted to all classes of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from undoor_bench.cost.mask_inversion import Inversion, flagged


@dataclass(frozen=True)
class Total:
    """The cost of mask inversion over all classes of a model.

    measured, classes : of so many classes so many were measured; `passes_measured` and
        `seconds_measured` are theirs alone.
    passes_low, passes_high : of all classes, each that was not measured at the mean of those that
        were. A class that was cut off counts as what it spent, and as all steps.
    seconds_low, seconds_high : likewise, at the measured seconds a pass.
    flagged : outliers among the masks; None unless every class was measured to its end.
    how : the above in words.
    """

    measured: int
    classes: int
    passes_measured: int
    seconds_measured: float
    passes_low: float
    passes_high: float
    seconds_low: float
    seconds_high: float
    flagged: tuple[int, ...] | None
    how: str


def total(runs: Sequence[Inversion], classes: int, most_passes: int) -> Total:
    """Return the cost over `classes` classes, extrapolated from at least one run.

    Parameters
    ----------
    most_passes
        Of a class that is not cut off.
    """
    runs = sorted(runs, key=lambda run: run.target)
    cut = [run for run in runs if run.stopped == "cut off"]
    passes, seconds = sum(run.passes for run in runs), sum(run.seconds for run in runs)
    low = passes * classes / len(runs)
    high = (passes + sum(most_passes - run.passes for run in cut)) * classes / len(runs)
    whole = len(runs) == classes and not cut
    outliers = flagged([run.size for run in runs]) if whole else []
    return Total(
        measured=len(runs),
        classes=classes,
        passes_measured=passes,
        seconds_measured=seconds,
        passes_low=low,
        passes_high=high,
        seconds_low=low * seconds / passes,
        seconds_high=high * seconds / passes,
        flagged=tuple(runs[i].target for i in outliers) if whole else None,
        how=_how(len(runs), classes, len(cut), most_passes),
    )


def _how(measured: int, classes: int, cut: int, most_passes: int) -> str:
    if measured == classes:
        text = f"measured all {classes} classes"
    else:
        text = f"measured {measured} of {classes} classes; passes extrapolated"
    return f"{text}; {cut} cut off, at most {most_passes:,} passes each" if cut else text
