"""One forward pass over clean images before any work: does the model know them as they are given?

A model that is fed with the wrong scale, normalisation or order of colours still answers, only
badly. The same images are therefore shown in the ways in which models are commonly fed, too; where
one of them does far better, the description of the model is probably wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import on
from undoor.rate import Rate
from undoor.spaces.images import COLOUR

MAX_IMAGES = 1000
BATCH = 256
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# A way of feeding is worth a word where it wins so much, and so surely (one-sided sign test).
MIN_GAIN = 0.05
SURE = 1e-3
MIN_ACCURACY_OVER_CHANCE = 0.2
# The share of predictions that one class may take, in units of its share of the images.
LOPSIDED = 3.0

Feeding = Callable[[Classifier, Tensor], Tensor]


def _unit(classifier: Classifier, x: Tensor) -> Tensor:
    low, high = classifier.bounds
    return (x - low) / (high - low)


def _imagenet(classifier: Classifier, x: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, device=x.device).view(-1, 1, 1) for values in IMAGENET)
    return (_unit(classifier, x) - mean) / std


# What the network would see; and what to write where that is what it was trained on, for raw
# values between 0 and 1.
FEEDINGS: dict[str, tuple[Feeding, str]] = {
    "multiplied by 255": (
        lambda c, x: c.normalised(255 * x),
        "multiply scale by 255",
    ),
    "divided by 255": (lambda c, x: c.normalised(x / 255), "divide scale by 255"),
    "0 to 1, not normalised": (_unit, "leave out mean and std (scale = 1 for bounds 0, 1)"),
    "0 to 255, not normalised": (
        lambda c, x: 255 * _unit(c, x),
        "leave out mean and std, and set scale = 255 (for bounds 0, 1)",
    ),
    "-1 to 1": (
        lambda c, x: 2 * _unit(c, x) - 1,
        "set mean = 0.5 and std = 0.5 (for bounds 0, 1)",
    ),
    "normalised with ImageNet's mean and std": (
        _imagenet,
        "set mean = 0.485,0.456,0.406 and std = 0.229,0.224,0.225 (for bounds 0, 1)",
    ),
    "colours in the order BGR": (
        lambda c, x: c.normalised(x.flip(1)),
        "swap red and blue: let the architecture flip the channels of its input",
    ),
}
COLOURED = {"normalised with ImageNet's mean and std", "colours in the order BGR"}


@dataclass(frozen=True)
class DryRun:
    """What one pass over clean images shows.

    Attributes
    ----------
    accuracy
        Of the model as it is described, with its 95 % interval.
    images
        How many were used.
    classes
        How many the model has.
    fed_otherwise
        Accuracy by each other way of feeding, by name.
    better
        The way that does clearly better than the description, None where none does.
    predicted
        Share of the answers, a class.
    present
        Share of the images.
    """

    accuracy: Rate
    classes: int
    fed_otherwise: dict[str, float]
    better: str | None
    predicted: tuple[float, ...]
    present: tuple[float, ...]

    @property
    def images(self) -> int:
        return self.accuracy.n

    @property
    def advice(self) -> str | None:
        """What to change in the model's description; None where nothing speaks for it."""
        if self.better is None:
            return None
        share, now = self.fed_otherwise[self.better], self.accuracy.value
        return (
            f"it answers {share:.0%} instead of {now:.0%} correctly with inputs {self.better}: "
            f"{FEEDINGS[self.better][1]}"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against working with this model and these images, in words."""
        told = [near_chance(self.accuracy.value or 0.0, self.classes), self.advice]
        counts = zip(self.predicted, self.present, strict=True)
        for number, (got, share) in enumerate(counts):
            if got > max(LOPSIDED * share, 0.5):
                told.append(f"{got:.0%} of the answers are class {number}, {share:.0%} should be")
        return tuple(text for text in told if text)

    def to_json(self) -> dict[str, Any]:
        rate = self.accuracy
        return {
            "images": self.images,
            "accuracy": rate.value,
            "accuracy_interval": None if rate.low is None else [rate.low, rate.high],
            "fed_otherwise": self.fed_otherwise,
            "better": self.better,
            "predicted": list(self.predicted),
            "present": list(self.present),
            "warnings": list(self.warnings),
        }


def near_chance(accuracy: float, classes: int) -> str | None:
    """Return what to say of a model that hardly knows the clean images; None where it knows them.

    Parameters
    ----------
    accuracy
        A fraction.

    Examples
    --------
    >>> near_chance(0.9, 10) is None, near_chance(0.12, 10) is None
    (True, False)
    """
    chance = 1 / classes
    if accuracy >= chance + MIN_ACCURACY_OVER_CHANCE * (1 - chance):
        return None
    return (
        f"the model answers only {accuracy:.0%} of the clean images correctly; check that labels, "
        "bounds, mean and std fit it"
    )


@torch.no_grad()
def dry_run(classifier: Classifier, clean: CleanSet, *, seed: int = 0) -> DryRun:
    """Show clean images to the model as described and as models are commonly fed.

    clean : as the classifier takes it (`CleanSet.for_classifier`); of more than a thousand images a
        thousand are drawn, classes in balance.
    """
    per_class = max(1, MAX_IMAGES // classifier.num_classes)
    clean = clean if len(clean) <= MAX_IMAGES else clean.balanced(per_class, seed)
    x, y, task = clean.images, clean.labels, classifier.task
    answers = _answers(classifier, x, lambda c, part: c.normalised(part))
    right, channels = task.correct(answers, y), classifier.space.channels(classifier.input_shape)
    otherwise = {
        name: task.correct(_answers(classifier, x, feed), y)
        for name, (feed, _) in FEEDINGS.items()
        if channels and (channels == COLOUR or name not in COLOURED)
    }
    return DryRun(
        Rate.of(right),
        classifier.num_classes,
        {name: float(hits.float().mean()) for name, hits in otherwise.items()},
        _clearly_better(right, otherwise),
        _shares(answers, classifier.num_classes),
        _shares(y, classifier.num_classes),
    )


def _answers(classifier: Classifier, x: Tensor, feed: Feeding) -> Tensor:
    parts = (on(classifier.device, part) for part in x.split(BATCH))
    found = [classifier.predict_normalised(feed(classifier, part)) for part in parts]
    return on(x.device, torch.cat(found))


def _clearly_better(right: Tensor, otherwise: dict[str, Tensor]) -> str | None:
    best = max(otherwise, key=lambda name: int(otherwise[name].sum()), default=None)
    if best is None:
        return None
    won, lost = (
        int((a & ~b).sum()) for a, b in ((otherwise[best], right), (right, otherwise[best]))
    )
    if won - lost < MIN_GAIN * len(right):
        return None
    sure = stats.binomtest(won, won + lost, alternative="greater").pvalue < SURE
    return best if sure else None


def _shares(labels: Tensor, classes: int) -> tuple[float, ...]:
    counts = torch.bincount(labels, minlength=classes)
    return tuple((counts / max(len(labels), 1)).tolist())
