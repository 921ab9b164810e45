"""The form of a detector of triggered inputs, and how its scores are computed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError

# Raw inputs [N, ...] to suspicion [N], float64; larger is more suspicious.
Score = Callable[[Tensor], Tensor]
Detector = Callable[[Classifier, CleanSet, torch.Generator], Score]
BATCH = 256


def own_copy(classifier: Classifier, clean: CleanSet) -> tuple[Classifier, CleanSet]:
    """Return a classifier laid out for speed, and the clean images as it takes them.

    Classes may lack images. Nothing done to either reaches the caller's.

    Raises
    ------
    UndoorError
        The set is empty, or does not fit the classifier.
    """
    return classifier.fast_copy(), clean.for_classifier(classifier, require_several_classes=False)


def in_batches(classifier: Classifier, score: Score, batch_size: int = BATCH) -> Score:
    """Return `score` without gradients and with bounded memory, for any number of inputs, even 0.

    An input's score does not depend on the others of its batch as long as `score` keeps to that.
    The function raises UndoorError for inputs of another shape than the classifier's.
    """
    shape = classifier.input_shape

    @torch.no_grad()
    def scores(x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != shape:
            raise UndoorError(
                f"expected inputs of the shape (N, {', '.join(map(str, shape))}), got "
                f"{tuple(x.shape)}; resize them as for the model, and keep the batch axis"
            )
        parts = [score(batch) for batch in x.split(batch_size)] if len(x) else []
        return torch.cat([torch.empty(0, dtype=torch.float64), *(p.double() for p in parts)])

    return scores
