"""What an exported file says of inputs, in the terms of `undoor check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from undoor.output_forms.output_form import Array, OutputForm, Plain
from undoor.vocabulary import NO_SCORE, REJECT


@dataclass(frozen=True)
class Prediction:
    """The guarded prediction of one input.

    Attributes
    ----------
    label
        The number of the class, -1 where there is no prediction. Of models of numbers the number,
        and of models of sets of labels a 1 for each label that is on and a 0 for the others; None
        where there is no prediction.
    class_name
        The prediction as people read it; None where there is none.
    flagged
        Whether the input seems to use the backdoor, or cannot be judged.
    score
        The guard's score; None where no corrected network was asked, since the input is predicted
        as no target, and the highest float32 where the input cannot be judged.
    details
        Of a number its ``unit``; of a set the ``labels`` that are on, each with its number, name
        and probability.
    """

    label: Plain | None
    class_name: str | None
    flagged: bool
    score: float | None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rejected(self) -> bool:
        """Whether there is no prediction."""
        return self.class_name is None

    def to_json(self) -> dict[str, Any]:
        """Return the fields under the names that `undoor check --json` has for them."""
        return {
            "label": self.label,
            "class": self.class_name,
            "flagged": self.flagged,
            "rejected": self.rejected,
            "score": self.score,
            **self.details,
        }


def without_prediction(
    form: OutputForm,
    outputs: Array,
    flagged: Array,
    score: Array,
    targets: Sequence[int],
    policy: str | None = None,
) -> Array:
    """Return which inputs [N] have no prediction, by what the guard returns of them.

    Under every policy, an input without a prediction is flagged, and its outputs are those of
    `undoor.decision.blank_logits`.

    Parameters
    ----------
    form
        What outputs mean.
    outputs, flagged, score
        [N, K], [N] and [N].
    targets
        That are guarded.
    policy
        Of the guard; under "reject" nothing that is flagged has a prediction.
    """
    blank = (policy == REJECT) | form.are_blank(outputs, score, targets)
    return np.asarray(flagged & blank)


def predictions(
    form: OutputForm,
    outputs: Array,
    flagged: Array,
    score: Array,
    targets: Sequence[int],
    policy: str | None = None,
) -> list[Prediction]:
    """Return the predictions that the outputs of an exported file stand for.

    Parameters
    ----------
    form, outputs, flagged, score, targets, policy
        As for `without_prediction`.
    """
    withheld = without_prediction(form, outputs, flagged, score, targets, policy)
    labels = form.withheld(form.predictions(outputs), withheld)
    found = []
    for row, (label, flag, value) in enumerate(
        zip(labels, flagged.tolist(), score.tolist(), strict=True)
    ):
        plain = form.plain(label)
        found.append(
            Prediction(
                form.no_label if plain is None else plain,
                None if plain is None else form.shown(plain),
                flag,
                None if value == NO_SCORE else value,
                form.details(outputs[row], label),
            )
        )
    return found
