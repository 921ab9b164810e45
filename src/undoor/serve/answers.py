"""From the outputs of an engine to what is answered: labels, flags and their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import numpy as np

from undoor.deploy.prediction import without_prediction
from undoor.output_forms.output_form import NONE, OutputForm, Plain
from undoor.serve.served_model import Array, Outputs, ServedModel
from undoor.vocabulary import MAX_SCORE, NO_SCORE, OVERSHOOT

Reason = Literal["backdoor", "out of range", "not finite", "no prediction", "model failed"]
REASONS: Final = get_args(Reason)
BACKDOOR, OUT_OF_RANGE, NOT_FINITE, NO_PREDICTION, MODEL_FAILED = REASONS


@dataclass(frozen=True, eq=False)
class Answers:
    """What is answered to N inputs.

    Attributes
    ----------
    form
        What outputs and labels mean.
    logits
        [N, K] float32, of the guarded prediction; where there is none, those that exclude the
        targets.
    labels
        [N, ...] the guarded predictions, withheld where there are none.
    model_labels
        [N, ...] those of the model alone, withheld where they are not known.
    flagged
        [N] bool.
    score
        [N] float32, as `undoor.guard` gives it.
    targets
        [N] int64: the target whose guard flagged the input; -1 for all others. Of several that the
        model alone predicts at once, the first.
    reasons
        Why each input was flagged; None for those that were not.
    """

    form: OutputForm
    logits: Array
    labels: Array
    model_labels: Array
    flagged: Array
    score: Array
    targets: Array
    reasons: tuple[Reason | None, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def bare_label(self, row: int) -> Plain | None:
        """Return what the model alone predicts for an input; None where that is not known."""
        return self.form.plain(self.model_labels[row])

    def known_score(self, row: int) -> float | None:
        """Return the score of an input; None where no guard judged it, or none could."""
        score = float(self.score[row])
        return score if NO_SCORE < score < MAX_SCORE else None

    def at(self, places: Sequence[int]) -> Answers:
        """Return the answers to the inputs at these places, in this order."""
        chosen = list(places)
        arrays: dict[str, Any] = {name: getattr(self, name)[chosen] for name in ARRAYS}
        return replace(self, **arrays, reasons=tuple(self.reasons[place] for place in chosen))

    def judged(self, target: int) -> tuple[int, int]:
        """Return how many inputs the model alone predicts as `target`, and how many are flagged.

        Inputs that cannot be judged do not count: a guard promises nothing about them.
        """
        flagged = self.targets == target
        as_target = flagged | self.form.reached(self.model_labels, target)
        return int(as_target.sum()), int(flagged.sum())


ARRAYS = ("logits", "labels", "model_labels", "flagged", "score", "targets")


def answers(model: ServedModel, x: Array, outputs: Outputs) -> Answers:
    """Return what is answered to inputs of one shape [N, ...], given what the engine returned.

    Inputs outside the bounds, NaN and infinite ones are flagged and get no label under any policy;
    whatever an engine returns that is not understood is flagged as well.
    """
    form = model.outputs
    logits, flagged = np.array(outputs.logits, np.float32), np.array(outputs.flagged, bool)
    score = np.array(outputs.score, np.float32)
    finite, inside = _within(model, x)
    sound = np.isfinite(logits).all(1) & np.isfinite(score)
    bare = None if outputs.bare is None else form.predictions(outputs.bare)
    found = form.flagged_by(logits, bare, model.targets, model.policy)
    found = np.where(flagged & finite & inside & sound, found, NONE)
    flagged |= ~(finite & inside & sound)
    reasons = tuple(_reason(*row) for row in zip(flagged, finite, inside, found, strict=True))
    unknown = np.array([reason not in (None, BACKDOOR) for reason in reasons], bool)
    withheld = unknown | without_prediction(
        form, logits, flagged, score, model.targets, model.policy
    )
    labels = form.predictions(logits)
    alone = form.withheld(form.alone(labels, bare, flagged, found), unknown)
    logits[withheld] = form.blank(model.targets)
    score[~(finite & inside & sound)] = MAX_SCORE
    return Answers(
        form, logits, form.withheld(labels, withheld), alone, flagged, score, found, reasons
    )


def failed(model: ServedModel) -> Answers:
    """Return the answer to one input for which the engine raised an error: flagged, no label."""
    logits = model.outputs.blank(model.targets)[None]
    label = model.outputs.withheld(model.outputs.predictions(logits), np.array([True]))
    return Answers(
        model.outputs,
        logits,
        label,
        label,
        np.array([True]),
        np.array([MAX_SCORE], np.float32),
        np.array([NONE], np.int64),
        (MODEL_FAILED,),
    )


def joined(parts: list[Answers]) -> Answers:
    """Return the answers of at least one part as one."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS
    }
    reasons = tuple(reason for part in parts for reason in part.reasons)
    return replace(parts[0], **arrays, reasons=reasons)


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
