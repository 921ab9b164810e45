"""What a defended model does on clean and triggered images whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.clean_set import CleanSet
from undoor.evaluate import auroc
from undoor.rate import Rate


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a defended model for N inputs.

    Attributes
    ----------
    labels
        [N], -1 where an input is rejected.
    flagged, score
        [N], of a method that flags inputs: the larger the score, the more suspicious. None for one
        that only changes the network.
    """

    labels: Tensor
    flagged: Tensor | None = None
    score: Tensor | None = None


# Raw inputs [N, ...] to what becomes of them.
Defended = Callable[[Tensor], Predictions]


@dataclass(frozen=True, eq=False)
class PredictionSet:
    """Predictions for the clean test images, and for the triggered ones of each true backdoor."""

    clean: Predictions
    triggered: tuple[Predictions, ...]

    @staticmethod
    def of(defended: Defended, test: CleanSet, triggered: Sequence[CleanSet]) -> PredictionSet:
        """Return the predictions of a defended model for the test images and the triggered ones."""
        return PredictionSet(
            defended(test.images), tuple(defended(images.images) for images in triggered)
        )


def basic_rates(
    measured: PredictionSet, test: CleanSet, triggered: Sequence[CleanSet], targets: Sequence[int]
) -> dict[str, Rate]:
    """Return ACC, ASR, SIA and `own_rate_t`, the last three over the images of all backdoors.

    `own_rate_t` is the share of clean test images of other classes that are predicted as the
    target: the error of the model without any trigger, against which an ASR is to be read.

    Parameters
    ----------
    targets
        One for each of `triggered`.
    """
    pairs = [*zip(measured.triggered, triggered, targets, strict=True)]
    labels, true_labels = measured.clean.labels, test.labels
    return {
        "acc": Rate.of(labels == true_labels),
        "asr": Rate.of(_joined([a.labels == target for a, _, target in pairs])),
        "sia": Rate.of(_joined([a.labels == images.labels for a, images, _ in pairs])),
        "own_rate_t": Rate.of(
            _joined([labels[true_labels != target] == target for target in targets])
        ),
    }


def flag_rates(
    measured: PredictionSet, bare: PredictionSet, test: CleanSet, targets: Sequence[int]
) -> dict[str, Rate]:
    """Return the rates of a method's flags and scores, each None where it gives none.

    TPR and FPR; `fpr_target`, the FPR on clean images that the bare model predicts as a target;
    `fpr_own`, the FPR on those of them that are of the predicted class; AUROC; and `auroc_of_t`,
    the AUROC on inputs that the bare model predicts as a target: triggered ones as theirs, clean
    ones as any.
    """
    nothing = Rate(None, None, None, 0)
    flagged = measured.clean.flagged
    rates = dict.fromkeys(("tpr", "fpr", "fpr_target", "fpr_own", "auroc", "auroc_of_t"), nothing)
    of_target = torch.isin(bare.clean.labels, torch.tensor(targets, dtype=torch.int64))
    if flagged is not None:
        found = [
            predictions.flagged
            for predictions in measured.triggered
            if predictions.flagged is not None
        ]
        rates["tpr"] = Rate.of(_joined(found))
        rates["fpr"], rates["fpr_target"] = Rate.of(flagged), Rate.of(flagged[of_target])
        rates["fpr_own"] = Rate.of(flagged[of_target & (bare.clean.labels == test.labels)])
    if measured.clean.score is not None:
        scores = [
            predictions.score for predictions in measured.triggered if predictions.score is not None
        ]
        rates["auroc"] = auroc(_joined(scores), measured.clean.score)
        hits = [
            predictions.labels == t for predictions, t in zip(bare.triggered, targets, strict=True)
        ]
        rates["auroc_of_t"] = auroc(_joined(scores)[_joined(hits)], measured.clean.score[of_target])
    return rates


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([torch.empty(0, dtype=parts[0].dtype if parts else torch.bool), *parts])
