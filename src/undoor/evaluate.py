"""Measure a guarded classifier: ACC, ASR, SIA, TPR, FPR and AUROC with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from undoor.classifier import ENTRY, Classifier
from undoor.clean_set import Clean, CleanSet, given
from undoor.device import array
from undoor.errors import UndoorError
from undoor.guard import Guarded, guarded_predictions
from undoor.kinds import checked
from undoor.rate import CONFIDENCE, Rate, rates_to_json
from undoor.spaces.registry import space_of
from undoor.spaces.space import Space
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.tasks.task import Task
from undoor.triggers import Trigger
from undoor.views import Viewed

SCHEMA = "undoor/evaluation/1"


@dataclass(frozen=True)
class Evaluation(Viewed):
    """What the bare model (`before`) and the guarded pair (`after`) do on a test set.

    Attributes
    ----------
    before, after
        "acc", "asr", "sia"; after also "tpr", "fpr" (on all clean inputs), "fpr_target" (on clean
        inputs that the bare model predicts as the target), "fpr_own" (on those of them that are of
        the target class, which is what a guard is calibrated for) and "auroc".
    n
        The numbers of "clean" and "triggered" inputs.
    errors
        Of predicted numbers: the mean distance from the labels on "clean" and on "triggered" inputs
        by the bare model, and guarded as "clean_guarded" and "triggered_guarded", where inputs
        without a prediction are left out. Empty for other tasks.
    """

    target: int
    before: Mapping[str, Rate]
    after: Mapping[str, Rate]
    n: Mapping[str, int]
    errors: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document: rates with their intervals, and the counts."""
        return {
            "schema": SCHEMA,
            "target": self.target,
            "before": rates_to_json(self.before),
            "after": rates_to_json(self.after),
            "n": dict(self.n),
            **({"errors": dict(self.errors)} if self.errors else {}),
        }


@checked
def evaluate(
    classifier: Classifier, guarded: Guarded, clean: Clean, triggered: Clean, target: int
) -> Evaluation:
    """Compare `classifier` with its guarded pair.

    Parameters
    ----------
    guarded
        With any policy. An input that it rejects is predicted as no class: a triggered one counts
        neither for ASR nor for SIA, a clean one as an error for ACC.
    clean
        Test images with their labels.
    triggered
        Images that carry the trigger, with their true labels; those of class `target`
        are left out, since for them the attack changes nothing. Both within the
        classifier's bounds.

    Raises
    ------
    UndoorError
        `target` is no class of the model, or no triggered image is left.
    """
    if not 0 <= target < classifier.num_classes:
        raise UndoorError(
            f"target must be a class of the model, 0 to {classifier.num_classes - 1}, got {target}"
        )
    classifier = classifier.with_task(guarded.original.task)
    clean = given(clean, classifier, require_several_classes=False)
    triggered = given(triggered, classifier, require_several_classes=False)
    task = classifier.task
    keep = ~task.reached(triggered.labels, target)
    if not bool(keep.any()):
        raise UndoorError(
            "expected triggered images of other classes than the target, got none; "
            "their labels must be the true classes"
        )
    true_labels = triggered.labels[keep]
    network = classifier.fast_copy()
    clean_pass = _predictions(network, guarded, clean.images)
    triggered_pass = _predictions(network, guarded, triggered.images[keep])
    bare, labels, flagged, score = clean_pass
    as_target = task.reached(bare, target)
    bare_t, labels_t, flagged_t, score_t = triggered_pass
    return Evaluation(
        target=target,
        before={
            "acc": Rate.of(task.correct(bare, clean.labels)),
            "asr": Rate.of(task.reached(bare_t, target)),
            "sia": Rate.of(task.correct(bare_t, true_labels)),
        },
        after={
            "acc": Rate.of(task.correct(labels, clean.labels)),
            "asr": Rate.of(task.reached(labels_t, target)),
            "sia": Rate.of(task.correct(labels_t, true_labels)),
            "tpr": Rate.of(flagged_t),
            "fpr": Rate.of(flagged),
            "fpr_target": Rate.of(flagged[as_target]),
            "fpr_own": Rate.of(flagged[as_target & task.reached(clean.labels, target)]),
            "auroc": auroc(score_t, score),
        },
        n={"clean": len(clean), "triggered": len(true_labels)},
        errors=_errors(
            task,
            clean=(bare, clean.labels),
            triggered=(bare_t, true_labels),
            clean_guarded=(labels, clean.labels),
            triggered_guarded=(labels_t, true_labels),
        ),
    )


def stamp_set(
    clean: CleanSet,
    trigger: Trigger,
    target: int,
    source: int | None = None,
    *,
    space: Space | None = None,
    task: Task = SINGLE_LABEL,
) -> CleanSet:
    """Return the triggered test set: stamped images of all classes but `target`, or of `source`.

    They are rounded as an attacker has to who stores them: images to 8 bits.

    Parameters
    ----------
    space
        What the inputs are; None infers it from their shape.
    task
        What the labels mean, with its goals where they follow from clean inputs.

    Raises
    ------
    UndoorError
        There is no such image, `source` is the target, or the trigger is latent.
    """
    if source == target:
        raise UndoorError(
            f"the source class must differ from the target, got {source} for both; "
            "leave --source out for a trigger that works on every class"
        )
    if trigger.site != ENTRY:
        raise UndoorError(
            f"expected a trigger of the input, got one that acts at {trigger.site!r} inside the "
            "network, which no image can carry"
        )
    keep = ~task.reached(clean.labels, target)
    if source is not None:
        keep &= task.reached(clean.labels, source)
    if not bool(keep.any()):
        wanted = f"of other classes than {target}" if source is None else f"of class {source}"
        raise UndoorError(f"expected images {wanted} to stamp, got none; give more test images")
    space = space or space_of(tuple(clean.images.shape[1:]))
    images = space.quantised(trigger(clean.images[keep]), trigger.bounds)
    return replace(clean, images=images, labels=clean.labels[keep])


def _errors(task: Task, **given: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Return the mean error of each of some predictions with their labels; empty without errors."""
    found = {name: task.error(*pair) for name, pair in given.items()}
    return {name: float(each.nanmean()) for name, each in found.items() if each is not None}


@torch.no_grad()
def _predictions(
    classifier: Classifier, guarded: Guarded, images: Tensor, batch_size: int = 256
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return bare labels, guarded labels, flags and scores, [N] each."""
    bare = classifier.predict(images, batch_size)
    return bare, *guarded_predictions(guarded, images, batch_size)


def auroc(positive: Tensor, negative: Tensor) -> Rate:
    """Return the probability that a triggered input scores above a clean one, ties counting half.

    Interval after Hanley and McNeil (Radiology 143, 1982).

    >>> auroc(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0, 2.0])).value
    0.9166666666666666
    """
    p, n = len(positive), len(negative)
    if p == 0 or n == 0:
        return Rate(None, None, None, 0)
    ranks = stats.rankdata(np.concatenate([array(positive), array(negative)]))
    area = (float(ranks[:p].sum()) - p * (p + 1) / 2) / (p * n)
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (p - 1) * (first - area**2) + (n - 1) * (second - area**2)) / (
        p * n
    )
    reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(max(variance, 0.0))
    return Rate(area, max(0.0, area - reach), min(1.0, area + reach), p + n)
