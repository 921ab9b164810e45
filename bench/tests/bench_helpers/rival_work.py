"""A tiny trained network with a backdoor, and what a rival left of it."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from helpers.tiny import BOUNDS, CLASSES, SIDE, TARGET, clean_images, true_trigger
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.scan.coverage import Coverage
from undoor.scan.report import Finding, ScanReport
from undoor.triggers import Trigger
from undoor_bench.attacks.fixed import Fixed
from undoor_bench.attacks.labels import all_to_one
from undoor_bench.zoo.train import Recipe, train

# Enough for classes to lie close together: a backdoor then costs, and so does its repair.
NOISE = 0.4
CLEAN = clean_images(30, seed=7, noise=NOISE)
TEST = clean_images(40, seed=5, noise=NOISE)


def layers(norm: bool) -> nn.Sequential:
    """Two convolutions of 12 and 16 channels, for the images of `tiny`."""

    def unit(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not norm)
        return [conv, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU()]

    return nn.Sequential(
        *unit(1, 12, 1), *unit(12, 16, 2), nn.Flatten(), nn.Linear(16 * SIDE**2 // 4, CLASSES)
    )


@cache
def backdoored(norm: bool = True) -> Classifier:
    """Trained with the chessboard of `tiny` on a tenth of its images; do not change it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = layers(norm)
    learning = clean_images(200, seed=1, noise=NOISE)
    attack = Fixed(true_trigger(), all_to_one(TARGET, CLASSES), rate=0.1)
    recipe = Recipe(epochs=8, batch=36, rate=0.05, shift=0)
    generator = torch.Generator().manual_seed(0)
    train(network, learning.images, learning.labels, [attack], recipe, generator=generator)
    return Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)


def report(trigger: Trigger | None = None, classes: int = CLASSES) -> ScanReport:
    """Of a scan that found this trigger, or nothing."""
    sources = tuple(k for k in range(classes) if k != TARGET)
    found = Finding(TARGET, sources, "patch", 0.001, 10.0, 4.0, 1.0, trigger or true_trigger())
    return ScanReport(
        verdict="backdoored" if trigger else "clean",
        reasons=(),
        findings=(found,) if trigger else (),
        evidence=(),
        coverage=Coverage(),
        class_names=tuple(str(k) for k in range(classes)),
        fingerprint="",
        images=0,
        seed=0,
        seconds=0.0,
        passes=0,
    )


NOTHING = report()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def acc(classifier: Classifier, clean: CleanSet = TEST) -> float:
    return float((classifier.predict(clean.images) == clean.labels).float().mean())


def asr(classifier: Classifier) -> float:
    """Share of triggered test images of other classes that go to the target."""
    others = TEST.images[TEST.labels != TARGET]
    return float((classifier.predict(true_trigger()(others)) == TARGET).float().mean())


def sia(classifier: Classifier) -> float:
    """Share of triggered test images of other classes that go to their own."""
    others = TEST.labels != TARGET
    answers = classifier.predict(true_trigger()(TEST.images[others]))
    return float((answers == TEST.labels[others]).float().mean())


def weights(classifier: Classifier) -> Tensor:
    return torch.cat([p.detach().flatten() for p in classifier.parameters()])
