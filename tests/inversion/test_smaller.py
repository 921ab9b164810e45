"""The first search of large images on smaller ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from helpers.scan_work import toy_work, work_on
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.inversion.candidates import Candidate
from undoor.inversion.smaller import MIN_SIDE, first_look_of, smaller_images
from undoor.triggers import Stamp, Warp

CLASSES = 3
BOUNDS = (0.0, 1.0)


class Coloured(nn.Module):
    """The brightest channel, of the mean over the image; of large ones alone if `only`."""

    def __init__(self, only: int = 0) -> None:
        super().__init__()
        self.only = only
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.head = nn.Linear(3, CLASSES, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3)[:, :, None, None])
            self.head.weight.copy_(20 * torch.eye(3))

    def forward(self, x: Tensor) -> Tensor:
        means = self.conv(x).mean((2, 3))
        return self.head(means.roll(1, 1) if x.shape[-1] < self.only else means)


def photos(side: int) -> CleanSet:
    labels = torch.arange(CLASSES).repeat_interleave(4)
    noise = torch.rand(len(labels), 3, side, side, generator=torch.Generator().manual_seed(0))
    images = 0.5 * noise
    images[torch.arange(len(labels)), labels] += 0.4
    return CleanSet(images.clamp(0, 1), labels)


def classifier_of(network: nn.Module, side: int = MIN_SIDE) -> Classifier:
    return Classifier(network, input_shape=(3, side, side), bounds=BOUNDS)


def test_small_images_are_searched_as_they_are() -> None:
    work = toy_work()
    look = first_look_of(work)
    assert look.work is work
    assert not look.smaller
    empty = torch.zeros(1, 8, 8)
    candidate = Candidate(0, "patch", 3.0, Stamp("patch", empty, empty, "add", BOUNDS))
    assert look.at_full_size(candidate) is candidate


def test_large_images_are_halved_where_predictions_stay() -> None:
    work = work_on(classifier_of(Coloured()), photos(MIN_SIDE))
    look = first_look_of(work)
    half = MIN_SIDE // 2
    assert look.full is work
    assert look.smaller
    assert look.work.classifier.input_shape == (3, half, half)
    assert look.work.images.x.shape == (3 * 4, 3, half, half)
    assert torch.equal(look.work.images.estimate, work.images.estimate)
    assert work.classifier.input_shape == (3, MIN_SIDE, MIN_SIDE)
    assert bool(look.work.images.known.all())


@pytest.mark.parametrize(
    "network",
    [
        Coloured(only=MIN_SIDE),
        nn.Sequential(nn.AvgPool2d(48), nn.Flatten(), nn.Linear(3 * 16, CLASSES)),
    ],
    ids=["predicts otherwise", "takes one size"],
)
def test_others_are_searched_as_they_are(network: nn.Module) -> None:
    classifier = classifier_of(network)
    clean = photos(MIN_SIDE)
    work = work_on(classifier, replace(clean, labels=classifier.predict(clean.images)))
    assert first_look_of(work).work is work


def test_candidates_grow_with_the_images() -> None:
    look = first_look_of(work_on(classifier_of(Coloured()), photos(MIN_SIDE)))
    half = MIN_SIDE // 2
    mask = torch.zeros(1, half, half)
    mask[:, :4, :4] = 1
    stamp = Stamp("patch", mask, torch.ones(3, half, half), "replace", BOUNDS)
    found = look.at_full_size(Candidate(1, "patch", 16.0, stamp))
    assert isinstance(found.trigger, Stamp)
    assert found.size == 64.0
    assert float(found.trigger.mask.sum()) == pytest.approx(64.0)
    assert found.trigger.pattern.shape == (3, MIN_SIDE, MIN_SIDE)
    warp = Warp("warp", BOUNDS, torch.zeros(2, 8, 8))
    bent = look.at_full_size(Candidate(1, "warp", 0.5, warp))
    assert (bent.size, bent.trigger) == (1.0, warp)
    unreached = look.at_full_size(Candidate(1, "patch", None, stamp))
    assert unreached.size is None


def test_smaller_images_stay_within_the_bounds() -> None:
    classifier = classifier_of(Coloured(), side=8)
    images = smaller_images(torch.rand(2, 3, 16, 16).round(), classifier)
    assert images.shape == (2, 3, 8, 8)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
