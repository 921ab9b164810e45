"""Serve the pair (original, corrected): answers, flags and scores at test time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from undoor.align.margin import margin, shortfall, without
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.sites import attach

if TYPE_CHECKING:
    from undoor.align.result import Repair

RULES = ("margin", "disagreement")
POLICIES = ("relabel", "reject", "flag")
# The label of a rejected input: no class has it.
REJECTED = -1


class Guarded(nn.Module):
    """The original network and, for each suspected target t, a corrected one g_t.

    An input that the original does not answer with a suspected target is answered by it alone.
    One that it answers t goes through g_t as well. The score is how far the correction leaves less
    of the margin of t than clean inputs keep (`undoor.align.margin.shortfall`); above the threshold
    calibrated on clean inputs of t, the input is flagged.
    `rule="disagreement"` is the paper's rule instead, "g_t answers something else than t" (arXiv
    2308.09850, section 3, step 4); it needs no calibration and flags more clean inputs.

    policy : what a flagged input is answered. "relabel": what g_t answers, with t excluded.
    "reject": nothing; its label is `REJECTED`, -1. "flag": what the original answers, t, so that
    the flag is all that protects.

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
        policy: str = "relabel",
    ) -> None:
        super().__init__()
        for name, value, known in (("rule", rule, RULES), ("policy", policy, POLICIES)):
            if value not in known:
                raise UndoorError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        self.original = classifier.fast_copy()
        self.targets = tuple(corrections)
        self.thresholds = tuple(float(thresholds[target]) for target in self.targets)
        self.rule = rule
        self.policy = policy
        self.corrected = nn.ModuleList(
            attach(self.original, copy.deepcopy(dict(corrections[target])))
            for target in self.targets
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Labels [N], flagged [N] and score [N] of raw inputs [N, ...].

        Labels are classes, or -1 for inputs rejected by the policy "reject". The score is -inf for
        inputs that are answered with no suspected target: no second pass was made for them.
        """
        logits, flagged, score = self.logits(x)
        labels = logits.argmax(1)
        if self.policy == "reject":
            labels = labels.masked_fill(flagged, REJECTED)
        return labels, flagged, score

    @torch.no_grad()
    def logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, with logits [N, K] in the place of labels.

        A flagged input has the corrected network's logits, that of the target at -inf. One that is
        rejected has 0 for all other classes instead: all that is said of it is that it is not the
        target's, and whoever takes the largest logit without a look at the flag does not get the
        target. One that is but flagged keeps the original's.
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
            if self.rule == "disagreement":
                score[rows] = -margin(corrected, target)
                flagged[rows] = score[rows] > 0
            else:
                score[rows] = shortfall(logits[rows], corrected, target)
                flagged[rows] = score[rows] > threshold
            hit = flagged[rows]
            if self.policy == "reject":
                corrected = torch.zeros_like(corrected)
            if self.policy != "flag":
                logits[rows[hit]] = without(corrected[hit], target)
        return logits, flagged, score


def guarded_answers(
    guarded: nn.Module, images: Tensor, batch_size: int = 256
) -> tuple[Tensor, Tensor, Tensor]:
    """Labels, flagged and score, [N] each, of raw inputs [N, ...], one or more, batch by batch."""
    parts = [guarded(batch) for batch in images.split(batch_size)]
    labels, flagged, score = (torch.cat(column) for column in zip(*parts, strict=True))
    return labels, flagged, score


def guard(
    classifier: Classifier, repair: Repair, *, rule: str = "margin", policy: str = "relabel"
) -> Guarded:
    """The guarded pair of a classifier and its repair; `classifier` itself stays untouched.

    rule : "margin" or "disagreement", when an input is flagged. policy : "relabel", "reject" or
    "flag", what is answered then. See `Guarded`.

    Raises
    ------
    UndoorError : there is no such rule or policy, or the repair was made for another model.
    """
    repair.require_model(classifier)
    return Guarded(
        classifier,
        {item.target: item.corrections for item in repair.targets},
        {item.target: item.threshold for item in repair.targets},
        rule=rule,
        policy=policy,
    )
