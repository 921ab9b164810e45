"""Predicted numbers: intervals from clean inputs, and outputs that collapse to one value."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.output_forms.numbers import GOALS
from undoor.tasks.regression import REGRESSION, Regression

TASK = Regression(0.0, 7.0, 0.5)


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def test_intervals_and_tolerance_follow_from_clean_inputs() -> None:
    labels = torch.linspace(-50, 50, 101)
    errors = torch.zeros(101)
    errors[::5] = 4.0  # of a fifth of the inputs
    task = REGRESSION.fitted((labels + errors)[:, None], labels)
    assert (task.low, task.high) == pytest.approx((-48, 48))
    assert task.tolerance == pytest.approx(4.0)
    assert task.restored(task.settings) == task
    assert REGRESSION.restored(task.settings) == task
    assert REGRESSION.settings == {}


def test_without_clean_inputs_nothing_is_said_about_goals() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    classifier = Classifier(
        network, input_shape=(1, 2, 2), task="regression", class_names=["price"]
    )
    assert classifier.num_classes == GOALS
    assert classifier.class_names[0] == "price interval 0"
    with pytest.raises(UndoorError, match="follow from clean inputs"):
        classifier.task.reached(torch.zeros(3), 0)
    known = classifier.with_goals(TASK.settings)
    assert known.class_names[3] == "price around 3"
    assert known.fingerprint() == classifier.fingerprint()
    with pytest.raises(UndoorError, match="labels of different values"):
        REGRESSION.fitted(torch.zeros(9, 1), torch.ones(9))


def test_the_first_and_the_last_interval_have_no_end() -> None:
    values = torch.tensor([-100.0, 0.5, 1.5, 6.5, 100.0])
    assert TASK.reached(values, 0).tolist() == [True, True, False, False, False]
    assert TASK.reached(values, GOALS - 1).tolist() == [False, False, False, True, True]
    assert TASK.reached(values, 1).tolist() == [False, True, True, False, False]
    each = TASK.reached(values, torch.tensor([0, 0, 2, 7, 7]))
    assert each.tolist() == [True, True, True, True, True]
    assert TASK.among(values, [0, 7]).tolist() == [True, True, False, True, True]


@settings(max_examples=50)
@given(st.floats(-20, 20), st.integers(0, GOALS - 1))
def test_an_answer_without_a_goal_is_beside_it(value: float, goal: int) -> None:
    (after,) = TASK.without(column(value), goal)[:, 0].tolist()
    assert not bool(TASK.reached(torch.tensor([after]), goal))
    if not bool(TASK.reached(torch.tensor([value]), goal)):
        assert after == pytest.approx(value)


@settings(max_examples=50)
@given(st.floats(-20, 20), st.integers(0, GOALS - 1))
def test_margins_are_positive_within_the_interval(value: float, goal: int) -> None:
    margin = float(TASK.margin(column(value), goal))
    outside = float(TASK._outside(torch.tensor(value), goal))
    assert margin <= 1
    if abs(outside - 1) > 1e-4:
        assert (margin > 0) == bool(TASK.reached(torch.tensor([value]), goal))


def test_what_collapses_has_the_largest_margin_whichever_value_it_is() -> None:
    alike = column(*[3.4] * 6)
    spread = column(3.0, 3.8, 2.5, 4.4, 3.4, 3.4)
    far = column(*[6.0] * 6)
    found = TASK.margins(torch.stack([alike, spread, far]), [3, 3, 3])
    assert found[0].tolist() == pytest.approx([-math.log(0.05)] * 6)
    assert 0.5 < float(found[1].mean()) < 2.5
    assert float(found[2].mean()) < 0
    # Those that do not follow count less than in proportion to their distance.
    assert float(TASK.margins(column(3.0, 3.0, 3.0, 100.0)[None], [3])[0, 3]) > -6


def test_the_loss_is_0_in_the_middle_of_the_goal() -> None:
    z = torch.tensor([[[3.2], [4.0], [9.0]]])
    towards = TASK.loss(z, torch.tensor([[3, 3, 3]]), torch.tensor([False]))
    assert towards[0].tolist() == pytest.approx([0.0, 0.5, 5.5])
    away = TASK.loss(z, torch.tensor([[3, 3, 3]]), torch.tensor([True]))
    assert away[0].tolist() == pytest.approx([0.8, 0.0, 0.0], abs=1e-6)


def test_errors_and_outcomes() -> None:
    found = TASK.withheld(torch.tensor([1.0, 2.0]), torch.tensor([True, False]))
    assert found[0] == 1
    assert math.isnan(found[1])
    labels = torch.tensor([1.4, 2.0])
    assert TASK.correct(found, labels).tolist() == [True, False]
    error = TASK.error(found, labels)
    assert float(error[0]) == pytest.approx(0.4)
    median, around = TASK.outcome(torch.tensor([3.0, 3.1, 3.2, 3.3, 9.0]))
    assert median == pytest.approx(3.2)
    assert 0.1 < around < 5.8


@pytest.mark.parametrize("labels", [torch.zeros(4, 2), torch.tensor([1.0, torch.nan])])
def test_other_labels_are_refused(labels: Tensor) -> None:
    with pytest.raises(UndoorError, match="expected one finite number as the label"):
        REGRESSION.required_labels(labels, 1)


def test_goals_overlap_with_their_neighbours() -> None:
    assert TASK.overlap(3, 4)
    assert not TASK.overlap(3, 5)
