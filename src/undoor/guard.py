"""Serve the pair (original, corrected): answers, flags and scores at test time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from undoor.align.margin import margin, without
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.sites import attach

if TYPE_CHECKING:
    from undoor.align.result import Repair

RULES = ("margin", "disagreement")


class Guarded(nn.Module):
    """The original network and, for each suspected target t, a corrected one g_t.

    An input that the original does not answer with a suspected target is answered by it alone.
    One that it answers t goes through g_t as well. The score is how far the correction lowers the
    margin of t; above the threshold calibrated on clean inputs of t, the input is flagged and g_t
    answers, with t excluded. `rule="disagreement"` is the paper's rule instead, "g_t answers
    something else than t" (arXiv 2308.09850, section 3, step 4); it needs no calibration and flags
    more clean inputs.

    Shares no tensor with the classifier it was made of; the corrected networks share theirs with
    the original, so that a guard takes little more memory than the bare model.
    """

    def __init__(
        self,
        classifier: Classifier,
        corrections: Mapping[int, Mapping[str, Correction]],
        thresholds: Mapping[int, float],
        *,
        rule: str = "margin",
    ) -> None:
        super().__init__()
        if rule not in RULES:
            raise UndoorError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
        self.original = classifier.fast_copy()
        self.targets = tuple(corrections)
        self.thresholds = tuple(float(thresholds[target]) for target in self.targets)
        self.rule = rule
        self.corrected = nn.ModuleList(
            attach(self.original, copy.deepcopy(dict(corrections[target])))
            for target in self.targets
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Labels [N], flagged [N] and score [N] of raw inputs [N, ...].

        The score is -inf for inputs that are answered with no suspected target: no second pass
        was made for them.
        """
        logits, flagged, score = self.logits(x)
        return logits.argmax(1), flagged, score

    @torch.no_grad()
    def logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, with logits [N, K] in the place of labels.

        A flagged input has the corrected network's logits, that of the target at -inf.
        """
        logits = self.original(x)
        answers = logits.argmax(1)
        flagged = torch.zeros_like(answers, dtype=torch.bool)
        score = torch.full_like(logits[:, 0], -torch.inf)
        for target, threshold, network in zip(
            self.targets, self.thresholds, self.corrected, strict=True
        ):
            rows = (answers == target).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            corrected = network(x[rows])
            after = margin(corrected, target)
            if self.rule == "disagreement":
                score[rows] = -after
                flagged[rows] = after < 0
            else:
                score[rows] = margin(logits[rows], target) - after
                flagged[rows] = score[rows] > threshold
            hit = flagged[rows]
            logits[rows[hit]] = without(corrected[hit], target)
        return logits, flagged, score


def guard(classifier: Classifier, repair: Repair, *, rule: str = "margin") -> Guarded:
    """The guarded pair of a classifier and its repair; `classifier` itself stays untouched."""
    return Guarded(
        classifier,
        {item.target: item.corrections for item in repair.targets},
        {item.target: item.threshold for item in repair.targets},
        rule=rule,
    )
