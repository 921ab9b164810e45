"""One of K classes is the answer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.tiny import clean_images, toy_classifier
from undoor.errors import UndoorError
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.tasks.task import LOWEST

X = clean_images().images
FACTORS = (1e-6, 1e-3, 1e3, 1e6)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("raw", "got"),
    [
        (torch.zeros(2, 1), r"\(2, 1\)"),
        (torch.zeros(2, 3, 4), r"\(2, 3, 4\)"),
        ([1, 2], "list"),
    ],
)
def test_what_is_no_output_is_refused(raw: object, got: str) -> None:
    with pytest.raises(UndoorError, match=f"at least 2 classes, got {got}; wrap it"):
        SINGLE_LABEL.require(raw)


def test_goals_are_classes() -> None:
    z = draw(5, 7)
    assert SINGLE_LABEL.require(z) is z
    assert SINGLE_LABEL.goals(7) == 7
    assert SINGLE_LABEL.predictions(z).tolist() == z.argmax(1).tolist()
    assert SINGLE_LABEL.predictions(z.view(1, 5, 7)).shape == (1, 5)


def test_loss_is_cross_entropy_towards_or_away() -> None:
    z, labels = draw(2, 5, 7), torch.arange(10).view(2, 5) % 7
    found = SINGLE_LABEL.loss(z, labels, torch.tensor([False, True]))
    towards = F.cross_entropy(z[0], labels[0], reduction="none")
    torch.testing.assert_close(found[0], towards)
    p = z[1].softmax(1).gather(1, labels[1][:, None])[:, 0]
    torch.testing.assert_close(found[1], -(1 - p).log())


def test_margin_and_without() -> None:
    z = draw(50, 4)
    margin, other = SINGLE_LABEL.margin(z, 2), SINGLE_LABEL.without(z, 2)
    assert torch.equal(margin > 0, SINGLE_LABEL.reached(SINGLE_LABEL.predictions(z), 2))
    assert not bool(SINGLE_LABEL.reached(SINGLE_LABEL.predictions(other), 2).any())
    assert torch.equal(other[:, 2], torch.full((50,), LOWEST))
    assert torch.equal(other[:, [0, 1, 3]], z[:, [0, 1, 3]])


def test_leads() -> None:
    z = torch.tensor([[3.0, 1.0, 0.0], [2.0, 2.0, 5.0]])
    assert SINGLE_LABEL.certainty(z).tolist() == [2.0, 3.0]
    assert SINGLE_LABEL.certainty(torch.ones(1, 3)).tolist() == [0.0]
    leads = [SINGLE_LABEL.drawn_lead(z, torch.Generator().manual_seed(k)) for k in range(20)]
    assert {float(lead[0]) for lead in leads} == {2.0, 3.0}
    assert {float(lead[1]) for lead in leads} == {3.0}


@pytest.mark.parametrize("factor", FACTORS)
def test_spread_follows_the_logits_and_nothing_else(factor: float) -> None:
    logits = toy_classifier(backdoored=True)(X)
    spread = SINGLE_LABEL.spread(logits)
    assert SINGLE_LABEL.spread(factor * logits) == pytest.approx(factor * spread, rel=1e-5)
    per_input = torch.linspace(-50, 50, len(X))[:, None]
    assert SINGLE_LABEL.spread(logits + per_input) == pytest.approx(spread, rel=1e-4)


def test_spread_by_hand() -> None:
    """The median over inputs of the standard deviation over classes."""
    logits = torch.tensor([[1.0, -1.0], [2.0, -2.0], [-30.0, 30.0]])
    assert SINGLE_LABEL.spread(logits) == 2.0


def test_one_class_that_is_never_predicted_does_not_hide_the_others() -> None:
    logits = toy_classifier(backdoored=True)(X)
    spoilt = torch.cat([logits, torch.full((len(X), 1), -1e6)], 1)
    assert SINGLE_LABEL.spread(spoilt) == pytest.approx(SINGLE_LABEL.spread(logits), rel=0.5)


@pytest.mark.parametrize("logits", [torch.ones(5, 3), torch.full((5, 3), torch.nan)])
def test_no_spread(logits: Tensor) -> None:
    assert SINGLE_LABEL.spread(logits) == 0.0
