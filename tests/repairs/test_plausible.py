"""Numbers of a repair that no fit makes are refused with their reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier, toy_classifier
from undoor.align.guard_threshold import GuardThreshold
from undoor.align.score_summary import ScoreSummary
from undoor.align.transform import Correction
from undoor.errors import UndoorError
from undoor.repairs import listed
from undoor.repairs.plausible import require_plausible
from undoor.repairs.record import Repair
from undoor.sealed import sealed, unsealed

CLEAN, TRIGGERED = torch.linspace(-3, 1, 60), torch.linspace(2, 9, 40)
KEY = "repair/1/correction/network.1/"
Content = Any
Tensors = dict[str, Tensor]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = make_repair(random_classifier("conv_norm"), (1,))
    item = replace(made.targets[0], calibration=GuardThreshold.of(CLEAN, TRIGGERED, 0.05))
    return replace(made, targets=(item,)).save(tmp_path / "a.safetensors")


def fill(part: str, value: float) -> Callable[[Content, Tensors], None]:
    def change(_: Content, tensors: Tensors) -> None:
        tensors[KEY + part].fill_(value)

    return change


def one(part: str, value: float) -> Callable[[Content, Tensors], None]:
    def change(_: Content, tensors: Tensors) -> None:
        tensors[KEY + part].view(-1)[0] = value

    return change


def threshold(value: float, **scores: Any) -> Callable[[Content, Tensors], None]:
    def change(content: Content, _: Tensors) -> None:
        (item,) = content["targets"]
        item["threshold"] = value
        if "scores" in scores:
            del item["calibration"]["scores"]

    return change


def narrow(_: Content, tensors: Tensors) -> None:
    tensors[KEY + "low"].copy_(tensors[KEY + "high"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fill("shift", 3e38), r"expected shift of at most 1e\+12, got 3e\+38"),
        (one("shift", -1e30), "expected shift of at most"),
        (one("up", 1e20), "expected up of at most"),
        (one("down", -1e20), "expected down of at most"),
        (one("high", 3e38), "expected high of at most"),
        (fill("scale", 0.0), "expected scales from 1e-06 to 1e.06, got 0 to 0; it blanks"),
        (one("scale", 0.0), "got 0 to "),
        (one("scale", -1.0), "got -1 to "),
        (one("scale", 1e9), r"expected scales .* to 1e\+09"),
        (narrow, "gives every input the same numbers"),
        (threshold(1e30), r"expected a number of at most 1e\+12, got 1e\+30; above it nothing"),
        (threshold(1e30, scores=None), "above it nothing would ever be flagged"),
        (
            threshold(40.0),
            r"40 does not follow from the scores .* -3 to 1 \(median -1, 60 inputs\)",
        ),
        (threshold(-4.0), "does not follow from the scores"),
    ],
)
def test_hostile_repairs(
    file: Path, change: Callable[[Content, Tensors], None], message: str
) -> None:
    """Sealed again, so that nothing but the numbers tells."""
    Repair.load(file)
    stored = unsealed(file, made_by="a test")
    tensors = dict(stored.tensors)
    change(stored.description, tensors)
    file.write_bytes(sealed(stored.description, tensors))
    with pytest.raises(UndoorError, match=message):
        Repair.load(file)
    (item,) = listed([file])
    assert item.repair is None
    assert item.problem


def test_is_not_written(tmp_path: Path) -> None:
    """What could not be read again."""
    made = make_repair(random_classifier("conv_norm"), (1,))
    item = made.targets[0]
    item = replace(item, calibration=replace(item.calibration, threshold=math.inf))
    with pytest.raises(UndoorError, match="threshold of target 1"):
        replace(made, targets=(item,)).save(tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


numbers = st.floats(-1e6, 1e6, width=32)


@given(
    clean=st.lists(numbers, max_size=30),
    triggered=st.lists(numbers, max_size=30),
    fpr=st.sampled_from([0.001, 0.01, 0.1, 0.5]),
)
def test_every_threshold_that_is_set_is_plausible(
    clean: list[float], triggered: list[float], fpr: float
) -> None:
    made = GuardThreshold.of(torch.tensor(clean), torch.tensor(triggered), fpr)
    require_plausible(0, {}, made)
    assert GuardThreshold.from_json(made.threshold, made.to_json()) == made


def test_triggered_scores_that_are_no_numbers_set_no_threshold() -> None:
    """They are flagged whatever it is."""
    odd = torch.tensor([math.nan, math.inf, -math.inf])
    made = GuardThreshold.of(CLEAN, torch.cat([odd, TRIGGERED]))
    assert made == GuardThreshold.of(CLEAN, TRIGGERED)
    assert GuardThreshold.of(CLEAN, odd).triggered is None


def test_repairs_that_are_made_hold_their_scores(toy_repair: Repair, tmp_path: Path) -> None:
    back = Repair.load(toy_repair.save(tmp_path), toy_classifier(backdoored=True, norm=True))
    found = back.targets[0].calibration
    assert found == toy_repair.targets[0].calibration
    assert found.clean is not None
    assert found.clean.n == found.n
    assert found.clean.min <= found.clean.median <= found.clean.max


@pytest.mark.parametrize(
    "change", [{"n": 0}, {"min": 9.0}, {"std": -1.0}, {"mean": 50.0}, {"max": -9.0}]
)
def test_summaries_out_of_order(change: dict[str, Any]) -> None:
    summary = ScoreSummary.of(CLEAN)
    assert summary is not None
    assert ScoreSummary.from_json(vars(summary)) == summary
    with pytest.raises(ValueError, match="expected a"):
        ScoreSummary.from_json(vars(summary) | change)


def test_corrections_of_a_whole_site_are_looked_at() -> None:
    one = torch.ones(3)
    good = Correction(one, 0 * one, -math.inf * one, math.inf * one)
    calibration = GuardThreshold.of(CLEAN, TRIGGERED)
    require_plausible(0, {"a": good}, calibration)
    bad = Correction(one, 0 * one, one, 0 * one)
    with pytest.raises(UndoorError, match="0/b is no correction: its bounds are not in order"):
        require_plausible(0, {"a": good, "b": bad}, calibration)
