"""Sets of labels: goals, margins, and what an answer is without a goal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.tasks.multi_label import MULTI_LABEL

LABELS = torch.tensor([[1, 0, 1], [0, 0, 1], [0, 0, 0]])


def outputs(seed: int) -> Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))


def test_two_goals_for_each_label() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    classifier = Classifier(
        network, input_shape=(1, 2, 2), task="multi-label", class_names=["cat", "dog", "cow"]
    )
    assert (classifier.num_outputs, classifier.num_classes) == (3, 6)
    assert classifier.class_names[:2] == ("without cat", "with cat")
    x = torch.rand(7, 1, 2, 2)
    assert torch.equal(classifier.predict(x), (classifier.logits(x) > 0).long())


def test_goals_that_labels_are_at() -> None:
    assert MULTI_LABEL.reached(LABELS, 5).tolist() == [True, True, False]
    assert MULTI_LABEL.reached(LABELS, 0).tolist() == [False, True, True]
    each = MULTI_LABEL.reached(LABELS, torch.tensor([1, 3, 4]))
    assert each.tolist() == [True, False, True]
    assert MULTI_LABEL.among(LABELS, [1, 3]).tolist() == [True, False, False]
    assert MULTI_LABEL.groups(LABELS).tolist() == [0, 2, 3]
    assert MULTI_LABEL.chance(LABELS[[0, 1, 1, 2]], 6) == 0.5


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 5))
def test_an_answer_without_a_goal_is_not_at_it(seed: int, goal: int) -> None:
    z = outputs(seed)
    turned = MULTI_LABEL.without(z, goal)
    before, after = MULTI_LABEL.predictions(z), MULTI_LABEL.predictions(turned)
    assert not MULTI_LABEL.reached(after, goal).any()
    others = torch.arange(3) != goal // 2
    assert torch.equal(before[:, others], after[:, others])
    away = ~MULTI_LABEL.reached(before, goal)
    assert torch.equal(before[away], after[away])


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 5))
def test_margins_are_positive_where_the_goal_is_reached(seed: int, goal: int) -> None:
    z = outputs(seed)
    reached = MULTI_LABEL.reached(MULTI_LABEL.predictions(z), goal)
    assert torch.equal(MULTI_LABEL.margin(z, goal) > 0, reached)
    assert torch.equal(MULTI_LABEL.probabilities(z)[:, goal] > 0.5, reached)
    loss = MULTI_LABEL.loss(z[None], torch.full((1, 5), goal), torch.tensor([False]))
    assert torch.equal(loss[0] < torch.tensor(2.0).log(), reached)
    away = MULTI_LABEL.loss(z[None], torch.full((1, 5), goal), torch.tensor([True]))
    assert torch.equal(away[0] > torch.tensor(2.0).log(), reached)


def test_inputs_without_a_prediction_are_marked() -> None:
    found = MULTI_LABEL.withheld(LABELS, torch.tensor([True, False, True]))
    assert found[1].tolist() == [-1, -1, -1]
    assert MULTI_LABEL.correct(found, LABELS).tolist() == [True, False, True]


@pytest.mark.parametrize(
    "labels", [torch.zeros(4), torch.zeros(4, 2), torch.full((4, 3), 0.5), torch.full((4, 3), 2.0)]
)
def test_other_labels_are_refused(labels: Tensor) -> None:
    with pytest.raises(UndoorError, match="expected 3 labels of 0 or 1 for each input"):
        MULTI_LABEL.required_labels(labels, 3)


def test_a_label_that_is_turned_over_alone_is_clearer() -> None:
    """Of two triggers that turn one label off as far, the one that leaves the others is."""
    clean = torch.tensor([[[4.0, 4.0, -4.0]] * 6] * 2)
    outputs = torch.tensor([[[-4.0, 4.0, -4.0]] * 6, [[-4.0, -4.0, 4.0]] * 6])
    alone, with_others = MULTI_LABEL.margins(outputs, [0, 0], clean).mean(1).tolist()
    assert alone == 4.0
    assert with_others == 4.0 - 2 * (2.0 + 4.0)
    found = MULTI_LABEL.clearness(outputs, outputs, [0, 0], unit=4.0, clean=clean)
    # Moved by two usual logits; two others lose 6 of 4, of which a half counts.
    assert found.tolist() == [20.0, 10 * (2.0 - 0.5 * 3.0)]


def test_what_moves_in_natural_directions_alone_is_natural() -> None:
    clean = torch.tensor([[[4.0, 4.0]] * 6])
    outputs = torch.tensor([[[-4.0, 4.0]] * 6])
    assert MULTI_LABEL.clearness(outputs, clean, [0], unit=4.0, clean=clean).tolist() == [0.0]
