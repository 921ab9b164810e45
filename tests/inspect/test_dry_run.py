"""One pass over clean images: is the model fed as it was trained?"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.inspect.dry_run import FEEDINGS, IMAGENET, dry_run, near_chance_note
from undoor.render.reasons import reason_texts
from undoor.scan.run import scan
from undoor.spaces.images import IMAGES

SIDE = 6
K = 4


def images(per_class: int = 30) -> CleanSet:
    """Classes differ by how much red there is, and by how bright they are."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(K * per_class) % K
    x = 0.3 * torch.rand(len(y), 3, SIDE, SIDE, generator=generator)
    x[:, 0] += 0.2 * y.view(-1, 1, 1)
    return CleanSet(x.clamp(0, 1), y)


class Nearest(nn.Module):
    """The class whose mean of clean images, seen through `feed`, is nearest."""

    def __init__(self, means: torch.Tensor) -> None:
        super().__init__()
        self.means: torch.Tensor
        self.register_buffer("means", means)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -torch.cdist(x.mean((2, 3)), self.means)


def trained_on(feeding: str | None) -> Classifier:
    """A model described as taking plain [0, 1], in truth trained on inputs fed in another way."""
    clean = images()
    described = Classifier(
        Nearest(torch.zeros(K, 3) + torch.arange(K).view(-1, 1)), input_shape=(3, SIDE, SIDE)
    )
    seen = clean.images if feeding is None else FEEDINGS[feeding][0](described, clean.images)
    means = torch.stack([seen[clean.labels == c].mean((0, 2, 3)) for c in range(K)])
    return Classifier(Nearest(means), input_shape=(3, SIDE, SIDE))


def test_right_feeding_gives_no_advice() -> None:
    run = dry_run(trained_on(None), images())
    assert run.accuracy.value == 1
    assert (run.better, run.warnings) == (None, ())
    assert sum(run.predicted) == pytest.approx(1)
    assert run.present == (0.25,) * K


@pytest.mark.parametrize(
    "feeding",
    [
        "multiplied by 255",
        "-1 to 1",
        "normalised with ImageNet's mean and std",
        "colours in the order BGR",
    ],
)
def test_wrong_feeding_is_named(feeding: str) -> None:
    run = dry_run(trained_on(feeding), images())
    # Plain [0, 1] times 255 is 0 to 255, not normalised, too.
    assert run.better == feeding
    assert run.fed_otherwise[feeding] > (run.accuracy.value or 0) + 0.2
    assert FEEDINGS[feeding][1] in (run.advice or "")


def test_scan_says_so_and_is_inconclusive() -> None:
    report = scan(trained_on("multiplied by 255"), images())
    assert report.verdict == "inconclusive"
    assert "multiply scale by 255" in reason_texts(report)[0]


def test_one_answer_for_everything() -> None:
    means = torch.full((K, 3), 9.0)
    means[2] = 0.5
    run = dry_run(Classifier(Nearest(means), input_shape=(3, SIDE, SIDE)), images())
    assert any(
        "100 % of predictions are class 2, which makes up 25 % of the images" in text
        for text in run.warnings
    )
    assert near_chance_note(run.accuracy.value or 0, 1 / K, IMAGES.noun) in run.warnings


def test_many_images_are_drawn_from_in_balance() -> None:
    run = dry_run(trained_on(None), images(400))
    assert run.images == 1000
    assert run.present == (0.25,) * K


def test_grey_images_have_no_colours() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    clean = CleanSet(torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 0, 1]))
    run = dry_run(Classifier(net, input_shape=(1, 2, 2)), clean)
    assert not {"colours in the order BGR"} & run.fed_otherwise.keys()
    assert len(IMAGENET[0]) == 3
