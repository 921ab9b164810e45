"""A forward pass over clean images, to check that they are classified correctly.

A model that is fed with the wrong scale, normalisation or order of colours still predicts classes,
but with low accuracy. The same images are therefore also fed in the other ways that are common;
where one of them is far more accurate, the description of the model is probably wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, with_goals_of
from undoor.colours import COLOUR
from undoor.device import on
from undoor.noun import INPUT, Noun
from undoor.rate import Rate

MAX_IMAGES = 1000
BATCH = 256
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# A way of feeding is reported where it gains at least this much accuracy, and with a p-value of a
# one-sided sign test below `SURE`.
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
    """Result of one pass over clean images.

    Attributes
    ----------
    accuracy
        Of the model as it is described, with its 95 % interval.
    images
        How many images were used.
    chance
        The accuracy of what does not look at the image.
    fed_otherwise
        Accuracy of each other way of feeding, by its name, in [0, 1].
    better
        The way that is clearly more accurate than the description; None where none is.
    predicted
        Share of the predictions that are each class.
    present
        Share of the images that are of each class.
    noun
        What the inputs are called.
    """

    accuracy: Rate
    chance: float
    fed_otherwise: dict[str, float]
    better: str | None
    predicted: tuple[float, ...]
    present: tuple[float, ...]
    noun: Noun = INPUT

    @property
    def images(self) -> int:
        """How many images were used."""
        return self.accuracy.n

    @property
    def advice(self) -> str | None:
        """What to change in the model's description; None where no change is indicated."""
        if self.better is None:
            return None
        return feeding_note(
            self.better, self.fed_otherwise[self.better], self.accuracy.value or 0.0
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to doubt that this model and these images belong together, in words."""
        accuracy = self.accuracy.value or 0.0
        low = is_near_chance(accuracy, self.chance)
        texts = [near_chance_note(accuracy, self.chance, self.noun) if low else None, self.advice]
        counts = zip(self.predicted, self.present, strict=True)
        for number, (got, share) in enumerate(counts):
            if got > max(LOPSIDED * share, 0.5):
                texts.append(
                    f"{100 * got:.0f} % of predictions are class {number}, which makes up "
                    f"{100 * share:.0f} % of the {self.noun.many}"
                )
        return tuple(text for text in texts if text)

    def to_json(self) -> dict[str, Any]:
        """Return the accuracies and shares as JSON has them, with the warnings."""
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


def is_near_chance(accuracy: float, chance: float) -> bool:
    """Return whether an accuracy is near chance, rather than well above it.

    Parameters
    ----------
    accuracy
        Share of the clean images that are classified correctly, in [0, 1].
    chance
        The accuracy of what does not look at the image, in [0, 1].

    Examples
    --------
    >>> is_near_chance(0.9, 0.1), is_near_chance(0.12, 0.1)
    (False, True)
    """
    return not accuracy >= chance + MIN_ACCURACY_OVER_CHANCE * (1 - chance)


def near_chance_note(accuracy: float, chance: float, noun: Noun = INPUT) -> str:
    """Return a warning about an accuracy near chance, with parameters as of `is_near_chance`.

    Inputs are called by the noun.
    """
    return (
        f"the model classifies only {100 * accuracy:.0f} % of the clean {noun.many} correctly "
        f"(chance: {100 * chance:.0f} %); check that labels, bounds, mean and std fit it"
    )


def feeding_note(feeding: str, share: float, accuracy: float) -> str:
    """Return what to change in a model's description.

    Parameters
    ----------
    feeding
        A way of feeding the images, one of `FEEDINGS`.
    share
        The accuracy in that way, in [0, 1].
    accuracy
        The accuracy of the model as it is described.
    """
    return (
        f"with inputs {feeding} the accuracy is {100 * share:.0f} % instead of "
        f"{100 * accuracy:.0f} %: {FEEDINGS[feeding][1]}"
    )


@torch.no_grad()
def dry_run(classifier: Classifier, clean: CleanSet, *, seed: int = 0) -> DryRun:
    """Feed clean images to the model as described, and in the other ways that are common.

    Parameters
    ----------
    classifier
        The model.
    clean
        Images [N, C, H, W] as the classifier takes them (`CleanSet.for_classifier`); of more than
        1000 images at most 1000 are drawn, balanced over the classes.
    seed
        Of that draw.
    """
    per_class = max(1, MAX_IMAGES // classifier.num_classes)
    if len(clean) > MAX_IMAGES:
        clean = clean.balanced(per_class, seed, classifier.task)
    classifier = with_goals_of(classifier, clean)
    x, y, task = clean.images, clean.labels, classifier.task
    predictions = _predictions(classifier, x, lambda c, part: c.normalised(part))
    right = task.correct(predictions, y)
    channels = classifier.space.channels(classifier.input_shape)
    otherwise = {
        name: task.correct(_predictions(classifier, x, feed), y)
        for name, (feed, _) in FEEDINGS.items()
        if channels and (channels == COLOUR or name not in COLOURED)
    }
    return DryRun(
        Rate.of(right),
        task.chance(y, classifier.num_classes),
        {name: float(hits.float().mean()) for name, hits in otherwise.items()},
        _clearly_better(right, otherwise),
        _shares(classifier, predictions),
        _shares(classifier, y),
        classifier.space.noun,
    )


def _predictions(classifier: Classifier, x: Tensor, feed: Feeding) -> Tensor:
    parts = (on(classifier.device, part) for part in x.split(BATCH))
    found = [classifier.predict_normalised(feed(classifier, part)) for part in parts]
    return on(x.device, torch.cat(found))


def _clearly_better(right: Tensor, otherwise: dict[str, Tensor]) -> str | None:
    leader = max(otherwise, key=lambda name: int(otherwise[name].sum()), default=None)
    if leader is None:
        return None
    won, lost = (
        int((a & ~b).sum()) for a, b in ((otherwise[leader], right), (right, otherwise[leader]))
    )
    if won - lost < MIN_GAIN * len(right):
        return None
    sure = stats.binomtest(won, won + lost, alternative="greater").pvalue < SURE
    return leader if sure else None


def _shares(classifier: Classifier, labels: Tensor) -> tuple[float, ...]:
    counts = [int(classifier.task.reached(labels, k).sum()) for k in range(classifier.num_classes)]
    return tuple(count / max(len(labels), 1) for count in counts)
