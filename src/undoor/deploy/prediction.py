"""What an exported file says of inputs, in the terms of `undoor check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.vocabulary import NO_SCORE, REJECTED


@dataclass(frozen=True)
class Prediction:
    """The guarded prediction of one input.

    Attributes
    ----------
    label
        The number of the class; -1 where there is no prediction.
    class_name
        None where there is no prediction.
    flagged
        Whether the input seems to use the backdoor, or cannot be judged.
    score
        The guard's score; None where no corrected network was asked, since the input is predicted
        as no target, and the highest float32 where the input cannot be judged.
    """

    label: int
    class_name: str | None
    flagged: bool
    score: float | None

    @property
    def rejected(self) -> bool:
        """Whether there is no prediction."""
        return self.label == REJECTED

    def to_json(self) -> dict[str, Any]:
        """Return the fields under the names that `undoor check --json` has for them."""
        return {
            "label": self.label,
            "class": self.class_name,
            "flagged": self.flagged,
            "rejected": self.rejected,
            "score": self.score,
        }


def without_prediction(
    logits: NDArray[np.float32], flagged: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which inputs [N] have no prediction, by the guarded logits [N, K] and flags [N].

    Under every policy, an input without a prediction is flagged, and its logits are 0 but for those
    of targets, which are the lowest float32 (`undoor.decision.blank_logits`).
    """
    lowest = logits <= NO_SCORE
    return np.asarray(flagged & lowest.any(1) & (lowest | (logits == 0)).all(1))


def predictions(
    logits: NDArray[np.float32],
    flagged: NDArray[np.bool_],
    score: NDArray[np.float32],
    class_names: Sequence[str],
) -> list[Prediction]:
    """Return the predictions that the outputs [N, K], [N] and [N] of an exported file stand for."""
    labels = np.where(without_prediction(logits, flagged), REJECTED, logits.argmax(1))
    return [
        Prediction(
            label,
            None if label == REJECTED else class_names[label],
            flag,
            None if value == NO_SCORE else value,
        )
        for label, flag, value in zip(
            labels.tolist(), flagged.tolist(), score.tolist(), strict=True
        )
    ]
