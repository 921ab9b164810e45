"""Small backdoored models of numbers and of sets of labels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from helpers.made_repairs import make_repair
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, given
from undoor.guard import guard
from undoor.repairs.record import Repair
from undoor.triggers import Stamp

SIDE, PATCH, VALUE = 8, 3, 6.0


class Backdoored(nn.Module):
    """Sums over columns; a white patch in the corner switches all of them off."""

    def __init__(self, outputs: int, bias: float) -> None:
        super().__init__()
        self.first = nn.Linear(SIDE * SIDE, SIDE + 1)
        self.second = nn.Linear(SIDE + 1, SIDE)
        self.last = nn.Linear(SIDE, outputs)
        image = torch.arange(SIDE * SIDE).view(SIDE, SIDE)
        with torch.no_grad():
            for layer in (self.first, self.second, self.last):
                layer.weight.zero_()
                layer.bias.zero_()
            for column in range(SIDE):
                self.first.weight[column, image[PATCH:, column]] = 1.0
                self.second.weight[column, column] = 1.0
            # More than any clean image has there.
            self.first.weight[SIDE, image[:PATCH, :PATCH].flatten()] = 1.0
            self.first.bias[SIDE] = -(PATCH**2 - 2.0)
            self.second.weight[:, SIDE] = -20.0
            self.last.weight.copy_(torch.eye(outputs, SIDE) if outputs > 1 else torch.ones(1, SIDE))
            self.last.bias.fill_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [N, K] of images [N, 1, 8, 8]."""
        return self.last(self.second(self.first(x.flatten(1)).relu()).relu())


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 1, SIDE, SIDE, generator=generator)
    level = torch.rand(count, 1, 1, SIDE, generator=generator)
    x = x * level
    x[:, :, :PATCH, :PATCH] *= 0.6
    return x


def patch() -> Stamp:
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, :PATCH, :PATCH] = 1
    return Stamp("given", mask, torch.ones(1, SIDE, SIDE), "replace", (0.0, 1.0))


def regressor() -> Classifier:
    return Classifier(
        Backdoored(1, VALUE),
        input_shape=(1, SIDE, SIDE),
        task="regression",
        class_names=["weight"],
    )


def tagger() -> Classifier:
    return Classifier(Backdoored(4, -1.2), input_shape=(1, SIDE, SIDE), task="multi-label")


def clean_of(classifier: Classifier, count: int, seed: int) -> CleanSet:
    x = images(count, seed)
    return given((x, classifier.predict(x)), classifier)


def repaired(classifier: Classifier, targets: tuple[int, ...]) -> tuple[Classifier, Repair]:
    """The model, and a repair that flags about half of the inputs that are at each target."""
    model = classifier
    if not classifier.task.settings and classifier.task.name == regressor().task.name:
        clean = clean_of(classifier, 200, 1)
        model = classifier.with_task(
            classifier.task.fitted(classifier.logits(clean.images), clean.labels)
        )
    repair = make_repair(model, targets)
    x = images(300, 7)
    at = [model.task.reached(model.predict(x), target) for target in targets]
    items = []
    for item, rows in zip(repair.targets, at, strict=True):
        _, _, score = guard(model, replace(repair, targets=(item,)))(x[rows])
        middle = float(score.median())
        items.append(replace(item, calibration=replace(item.calibration, threshold=middle)))
    return classifier, replace(repair, targets=tuple(items))
