"""From the outputs of an engine to what is answered: labels, flags and their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from undoor.deploy.prediction import without_prediction
from undoor.serve.served_model import Array, Outputs, ServedModel
from undoor.vocabulary import FLAG, MAX_SCORE, NO_SCORE, OVERSHOOT, REJECT, REJECTED

Reason = Literal["backdoor", "out of range", "not finite", "no prediction", "model failed"]
REASONS: Final = get_args(Reason)
BACKDOOR, OUT_OF_RANGE, NOT_FINITE, NO_PREDICTION, MODEL_FAILED = REASONS
NONE = -1


@dataclass(frozen=True, eq=False)
class Answers:
    """What is answered to N inputs.

    Attributes
    ----------
    logits
        [N, K] float32, of the guarded prediction; 0 for all classes but the targets where there is
        no prediction.
    labels
        [N] int64; `REJECTED` without a prediction.
    flagged
        [N] bool.
    score
        [N] float32, as `undoor.guard` gives it.
    targets
        [N] int64: the target whose guard flagged the input; -1 for all others.
    reasons
        Why each input was flagged; None for those that were not.
    """

    logits: Array
    labels: Array
    flagged: Array
    score: Array
    targets: Array
    reasons: tuple[Reason | None, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def bare_label(self, row: int) -> int | None:
        """Return what the model alone predicts for an input; None where that is not known."""
        if self.reasons[row] in (None, BACKDOOR):
            return int(self.targets[row] if self.flagged[row] else self.labels[row])
        return None

    def known_score(self, row: int) -> float | None:
        """Return the score of an input; None where no guard judged it, or none could."""
        score = float(self.score[row])
        return score if NO_SCORE < score < MAX_SCORE else None

    def at(self, places: Sequence[int]) -> Answers:
        """Return the answers to the inputs at these places, in this order."""
        chosen = list(places)
        return Answers(
            self.logits[chosen],
            self.labels[chosen],
            self.flagged[chosen],
            self.score[chosen],
            self.targets[chosen],
            tuple(self.reasons[place] for place in chosen),
        )

    def judged(self, target: int) -> tuple[int, int]:
        """Return how many inputs the model alone predicts as `target`, and how many are flagged.

        Inputs that cannot be judged do not count: a guard promises nothing about them.
        """
        flagged = int((self.targets == target).sum())
        return flagged + int(((self.labels == target) & ~self.flagged).sum()), flagged


def answers(model: ServedModel, x: Array, outputs: Outputs) -> Answers:
    """Return what is answered to inputs of one shape [N, ...], given what the engine returned.

    Inputs outside the bounds, NaN and infinite ones are flagged and get no label under any policy;
    whatever an engine returns that is not understood is flagged as well.
    """
    logits, flagged = np.array(outputs.logits, np.float32), np.array(outputs.flagged, bool)
    score = np.array(outputs.score, np.float32)
    finite, inside = _within(model, x)
    sound = np.isfinite(logits).all(1) & np.isfinite(score)
    found = _targets(model, logits, flagged & finite & inside & sound)
    flagged |= ~(finite & inside & sound)
    reasons = tuple(_reason(*row) for row in zip(flagged, finite, inside, found, strict=True))
    withheld = np.array([reason not in (None, BACKDOOR) for reason in reasons], bool)
    withheld |= without_prediction(logits, flagged) | (flagged & (model.policy == REJECT))
    labels = np.where(withheld, REJECTED, logits.argmax(1)).astype(np.int64)
    logits[withheld] = _blank(model, logits.shape[1])
    score[~(finite & inside & sound)] = MAX_SCORE
    return Answers(logits, labels, flagged, score, found, reasons)


def failed(model: ServedModel) -> Answers:
    """Return the answer to one input for which the engine raised an error: flagged, no label."""
    return Answers(
        _blank(model, len(model.contract.class_names))[None],
        np.array([REJECTED], np.int64),
        np.array([True]),
        np.array([MAX_SCORE], np.float32),
        np.array([NONE], np.int64),
        (MODEL_FAILED,),
    )


def joined(parts: list[Answers]) -> Answers:
    """Return the answers of at least one part as one."""
    return Answers(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.flagged for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.targets for part in parts]),
        tuple(reason for part in parts for reason in part.reasons),
    )


def _within(model: ServedModel, x: Array) -> tuple[Array, Array]:
    """Return which inputs [N] are finite, and which are within the bounds; pixels always are."""
    if x.dtype == np.uint8:
        return np.ones(len(x), bool), np.ones(len(x), bool)
    low, high = model.contract.bounds
    reach = OVERSHOOT * (high - low)
    rows = x.reshape(len(x), -1)
    finite = np.asarray(np.isfinite(rows).all(1))
    with np.errstate(invalid="ignore"):
        inside = np.asarray(((rows >= low - reach) & (rows <= high + reach)).all(1))
    return finite, inside


def _targets(model: ServedModel, logits: Array, judged: Array) -> Array:
    """Return the target of each flagged input [N], -1 for the others.

    Under "flag", the logits are those of the model alone, which predicts the target. Under the
    other policies, the logit of the target alone is the lowest number.
    """
    if model.policy == FLAG:
        found = logits.argmax(1)
        return np.where(judged & np.isin(found, model.targets), found, NONE)
    places = np.array(model.targets, np.int64)
    lowest = logits[:, places] <= NO_SCORE
    return np.where(judged & (lowest.sum(1) == 1), places[lowest.argmax(1)], NONE)


def _blank(model: ServedModel, classes: int) -> Array:
    blank = np.zeros(classes, np.float32)
    blank[list(model.targets)] = NO_SCORE
    return blank


def _reason(flagged: bool, finite: bool, inside: bool, target: int) -> Reason | None:
    if not flagged:
        return None
    if not finite:
        return NOT_FINITE
    if not inside:
        return OUT_OF_RANGE
    if target != NONE:
        return BACKDOOR
    return NO_PREDICTION
