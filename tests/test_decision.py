"""What the guard decides where numbers are no numbers, in the module and in both exports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.contract import Contract
from undoor.decision import are_finite, decide
from undoor.export import About, GuardedGraph, onnx, pt2
from undoor.export.parity import Outputs, odd_inputs
from undoor.guard import Guarded
from undoor.preparation import Preparation
from undoor.sites import ENTRY
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.tasks.task import LOWEST
from undoor.vocabulary import (
    DEFAULT_TASK,
    MAX_SCORE,
    NO_SCORE,
    OVERSHOOT,
    POLICIES,
    REJECTED,
    RULES,
    VECTORS,
)

CLASSES = 4
NAN, INF, HUGE = math.nan, math.inf, 3e38
Run = Callable[[Tensor], Outputs]


class Twice(nn.Module):
    """Logits that are twice the input: what is finite may overflow here."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(x, 1) * 2


def classifier() -> Classifier:
    return Classifier(Twice(), input_shape=(CLASSES,), bounds=(-10, 10))


def guarded(
    shifts: list[float], *, threshold: float = 1e30, rule: str = "margin", policy: str = "relabel"
) -> Guarded:
    """A guard of class 1 whose correction adds `shifts` to the input."""
    one = torch.ones(CLASSES)
    h = Correction(one, torch.tensor(shifts), -INF * one, INF * one)
    return Guarded(classifier(), {1: {ENTRY: h}}, {1: threshold}, rule=rule, policy=policy)


def as_module(made: Guarded, _: Path) -> Run:
    return made.logits


def as_graph(made: Guarded, _: Path) -> Run:
    return GuardedGraph(made)


def as_onnx(made: Guarded, folder: Path) -> Run:
    return _exported(made, folder / "g.onnx")


def as_pt2(made: Guarded, folder: Path) -> Run:
    return _exported(made, folder / "g.pt2")


def _exported(made: Guarded, file: Path) -> Run:
    contract = Contract((CLASSES,), (-10, 10), tuple("abcd"))
    preparation = Preparation(contract, None, 1.0, (0.0,), (1.0,))
    about = About(
        "guarded", "0", "0", preparation, VECTORS, DEFAULT_TASK, None, (1,), (1.0,), (), made.rule,
        made.policy, {},
    )  # fmt: skip
    room = onnx if file.suffix == ".onnx" else pt2
    room.write(GuardedGraph(made), torch.zeros(2, CLASSES), about, file)
    return room.runner(file)


EXPORTS = (as_onnx, as_pt2)
FORMS = pytest.mark.parametrize("form", [as_module, as_graph])
IS_ONE = torch.tensor([[0.0, 5, 0, 0], [1, 2, 0, 0], [0, 9, 8, 7]])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("form", [as_module, as_graph])
@pytest.mark.parametrize(
    "shifts",
    [
        [0.0, HUGE, 0, 0],  # the target's logit overflows: the score is -inf
        [HUGE, 0, 0, 0],
        [HUGE] * 4,  # inf - inf
        [0, HUGE, -HUGE, 0],
        [-HUGE] * 4,
    ],
)
def test_a_score_that_is_no_number_is_flagged(
    form: Callable[..., Run], rule: str, policy: str, shifts: list[float], tmp_path: Path
) -> None:
    """Comparisons with NaN are false: `score > threshold` let all of them pass."""
    all_flagged(form(guarded(shifts, rule=rule, policy=policy), tmp_path), policy)


@pytest.mark.parametrize("form", EXPORTS)
@pytest.mark.parametrize(
    ("rule", "policy", "shifts"),
    [("margin", "relabel", [HUGE] * 4), ("disagreement", "reject", [0.0, HUGE, 0, 0])],
)
def test_nor_does_it_pass_in_exports(
    form: Callable[..., Run], rule: str, policy: str, shifts: list[float], tmp_path: Path
) -> None:
    all_flagged(form(guarded(shifts, rule=rule, policy=policy), tmp_path), policy)


def all_flagged(run: Run, policy: str) -> None:
    logits, flagged, score = run(IS_ONE)
    assert flagged.tolist() == [True] * 3
    assert score.tolist() == [MAX_SCORE] * 3
    assert bool(logits.isfinite().all())
    if policy != "flag":
        assert not bool((logits.argmax(1) == 1).any())


@FORMS
@pytest.mark.parametrize("policy", POLICIES)
def test_odd_inputs_are_flagged(form: Callable[..., Run], policy: str, tmp_path: Path) -> None:
    """Whatever they are predicted as; the other inputs of the batch are answered as ever."""
    odd_are_flagged(form(guarded([0.0] * 4, policy=policy), tmp_path), policy)


def odd_are_flagged(run: Run, policy: str) -> None:
    for value in (NAN, INF, -INF, 11.1, -11.1, 255.0, HUGE):
        for place in range(CLASSES):
            x = torch.tensor([[0.0, 1, 2, 3], [3.0, 2, 1, 0], [0.0, 1, 2, 3]])
            x[1, place] = value
            logits, flagged, score = run(x)
            assert flagged.tolist() == [False, True, False]
            assert score.tolist() == [NO_SCORE, MAX_SCORE, NO_SCORE]
            assert bool(logits.isfinite().all())
            assert torch.equal(logits[[0, 2]], 2 * x[[0, 2]])
            if policy != "flag":
                assert int(logits[1].argmax()) != 1


@pytest.mark.parametrize("policy", POLICIES)
def test_labels_of_odd_inputs(policy: str) -> None:
    """Out of bounds: the model's own prediction unless that is a target. No number: none."""
    x = torch.tensor([[0.0, 0, 0, 20], [0, 20, 1, 0], [0, 0, 0, NAN], [0, HUGE, 0, 0]])
    made = guarded([0.0] * 4, policy=policy)
    labels, flagged, _ = made(x)
    assert flagged.tolist() == [True] * 4
    expected = {
        "relabel": [3, 2, REJECTED, REJECTED],
        "flag": [3, 1, REJECTED, REJECTED],
        "reject": [REJECTED] * 4,
    }
    assert labels.tolist() == expected[policy]
    blank = [0.0, LOWEST, 0.0, 0.0]
    assert made.logits(x)[0][2:].tolist() == [blank, blank]


def test_no_answer_where_the_corrected_network_has_none() -> None:
    labels, flagged, _ = guarded([HUGE] * 4)(IS_ONE)
    assert flagged.tolist() == [True] * 3
    assert labels.tolist() == [REJECTED] * 3
    assert guarded([HUGE] * 4, policy="flag")(IS_ONE)[0].tolist() == [1, 1, 1]


@FORMS
def test_a_little_beyond_the_bounds_is_taken(form: Callable[..., Run], tmp_path: Path) -> None:
    """Resizing overshoots at edges."""
    overshoot_is_taken(form(guarded([0.0] * 4), tmp_path))


def overshoot_is_taken(run: Run) -> None:
    edge = 10 + 20 * OVERSHOOT
    x = torch.tensor([[0.0, 0, edge, -edge], [0, 0, edge + 0.01, 0], [0, 0, 0, -edge - 0.01]])
    assert run(x)[1].tolist() == [False, True, True]


@pytest.mark.parametrize("form", EXPORTS)
def test_exports_answer_odd_inputs_alike(form: Callable[..., Run], tmp_path: Path) -> None:
    """Runtimes differ in what they make of NaN."""
    made = guarded([0.5, -1, 0, 0])
    run = form(made, tmp_path)
    odd_are_flagged(run, "relabel")
    overshoot_is_taken(run)
    x = torch.cat([IS_ONE, odd_inputs(classifier())])
    for expected, got in zip(made.logits(x), run(x), strict=True):
        assert expected.dtype == got.dtype
        assert torch.equal(expected, got)


def test_all_that_comes_out_is_json() -> None:
    x = torch.cat([IS_ONE, odd_inputs(classifier())])
    for rule in RULES:
        for policy in POLICIES:
            made = guarded([0.5, -20, 0, 0], threshold=0.0, rule=rule, policy=policy)
            json.dumps([part.tolist() for part in made.logits(x)], allow_nan=False)


@pytest.mark.parametrize("rule", RULES)
def test_decision_is_pure(rule: str) -> None:
    bare, corrected = torch.tensor([[0.0, 5, 0]]), torch.tensor([[0.0, NAN, 0]])
    trusted = torch.tensor([True])
    decision = decide(bare, corrected, 1, 1.0, rule, "relabel", trusted, SINGLE_LABEL)
    assert decision.flagged.tolist() == [True]
    assert decision.has_prediction.tolist() == [False]
    assert bare.tolist() == [[0, 5, 0]]
    assert not decide(bare, bare, 1, 1.0, rule, "relabel", trusted, SINGLE_LABEL).flagged.any()
    assert decide(bare, bare, 1, 1.0, rule, "relabel", ~trusted, SINGLE_LABEL).flagged.all()


def test_finite() -> None:
    x = torch.tensor([[1.0, 2], [NAN, 0], [INF, 0], [0, -INF], [HUGE, -HUGE]])
    assert are_finite(x).tolist() == [True, False, False, False, True]
