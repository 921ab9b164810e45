"""From some classes to all."""

from __future__ import annotations

import pytest

from undoor_bench.cost.extrapolate import total
from undoor_bench.cost.mask_inversion import Inversion, Stop


def run(
    target: int, passes: int = 100, size: float = 9.0, stopped: Stop = "early stop"
) -> Inversion:
    return Inversion(target, size, True, 10, passes, passes / 50, stopped)


def test_all_classes() -> None:
    """In whatever order they come, the flagged class keeps its number."""
    sizes = {4: 9.0, 3: 10.0, 0: 9.5, 1: 1.0, 2: 11.0}
    made = total([run(target, size=size) for target, size in sizes.items()], 5, 1000)
    assert (made.passes_low, made.passes_high) == (500, 500)
    assert made.seconds_low == made.seconds_high == pytest.approx(10)
    assert made.flagged == (1,)
    assert made.how == "measured all 5 classes"


def test_some_classes() -> None:
    made = total([run(7, 100), run(2, 300)], 10, 1000)
    assert (made.measured, made.passes_measured) == (2, 400)
    assert made.passes_low == made.passes_high == 2000
    assert made.seconds_low == pytest.approx(40)
    assert made.flagged is None
    assert made.how == "measured 2 of 10 classes; passes extrapolated"


def test_classes_that_were_cut_off() -> None:
    """What they could still cost is bounded by all steps; their masks flag nothing."""
    made = total([run(0), run(1, 50, stopped="cut off")], 2, 1000)
    assert (made.passes_low, made.passes_high) == (150, 1100)
    assert made.seconds_high == pytest.approx(22)
    assert made.flagged is None
    assert made.how == "measured all 2 classes; 1 cut off, at most 1,000 passes each"
    half = total([run(1, 50, stopped="cut off")], 2, 1000)
    assert (half.passes_low, half.passes_high) == (100, 2000)
    assert half.how.startswith("measured 1 of 2 classes; passes extrapolated; 1 cut off")
