"""Serve the pair (original, corrected): predictions, flags and scores at test time."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from undoor.align.replaced_cells import ReplacedCells, WithoutCells
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.decision import Decision, decide, pass_through, withhold_unfounded
from undoor.device import beside, device_of, on
from undoor.errors import UndoorError
from undoor.kinds import checked
from undoor.repairs.record import Repair
from undoor.sites import attach
from undoor.vocabulary import DEFAULT_POLICY, DEFAULT_RULE, POLICIES, RULES


class Guarded(nn.Module):
    """The original network and, for each suspected target t, a corrected one g_t.

    Where the original predicts no suspected target, its prediction stands. An input that it
    predicts as t goes through g_t as well. The score is how much less of the margin of t the
    correction leaves than clean inputs keep (`undoor.align.guard_score.shortfall`). Unless the
    score is known to be at most the threshold calibrated on clean inputs of t, the input is
    flagged: a score that is no finite number flags it as well.
    `rule="disagreement"` is the paper's rule instead, "g_t predicts another class than t" (arXiv
    2308.09850, section 3, step 4); it needs no calibration and flags more clean inputs.

    Always flagged, whatever the prediction: inputs more than 5 % of the range outside the bounds of
    the model, inputs that hold NaN or infinity, and inputs for which the original returns such.

    An input that is predicted as several targets at once, as sets of labels and numbers can be, is
    judged for one after the other, and stays as the first guard that flags it left it.

    All networks stay in evaluation mode: `train()` does nothing, since batch statistics would
    change predictions and weights.

    Shares no tensor with the classifier it was made of; the corrected networks share theirs with
    the original, so that a guard takes little more memory than the bare model.

    Parameters
    ----------
    policy
        What is predicted for a flagged input. "relabel": the class that g_t predicts, t excluded;
        an input outside the bounds that is predicted as no target keeps that prediction. "reject":
        nothing; its label is `REJECTED`, -1. "flag": the class that the original predicts, so that
        the flag is the only protection. Where the input, or the outputs of the original or g_t, are
        no finite numbers, the label is -1 under any policy.
    cells
        By target, of a model without layers to correct: g_t is then the original that does not see
        these cells (`undoor.align.replaced_cells`), and differs from it for rows in their ranges
        alone.
    """

    def __init__(
        self,
        classifier: Classifier,
        corrections: Mapping[int, Mapping[str, Correction]],
        thresholds: Mapping[int, float],
        *,
        rule: str = DEFAULT_RULE,
        policy: str = DEFAULT_POLICY,
        cells: Mapping[int, ReplacedCells] | None = None,
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
            WithoutCells(self.original, cells[target])
            if cells and target in cells
            else attach(self.original, copy.deepcopy(dict(corrections[target])))
            for target in self.targets
        ).to(self.original.device)

    def __repr__(self) -> str:
        return f"Guarded(targets={self.targets}, rule={self.rule!r}, policy={self.policy!r})"

    def train(self, mode: bool = True) -> Guarded:
        """Stay in evaluation mode, whatever `mode` is."""
        return super().train(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return labels [N], flagged [N] and score [N] of raw inputs [N, ...].

        Labels are classes, or -1 for inputs without a prediction; of other tasks numbers [N], NaN
        without one, or rows [N, L] of 0 and 1. The score is a finite number:
        `undoor.vocabulary.NO_SCORE`, the lowest float32, for inputs that are predicted as no
        suspected target (no second pass was made for them), and `MAX_SCORE`, the highest, for
        those outside the bounds and those whose score is no finite number.
        """
        decision, _ = self._decision(x)
        task = self.original.task
        labels = task.withheld(task.predictions(decision.logits), decision.has_prediction)
        return labels, decision.flagged, decision.score

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `forward` does, with logits [N, K] in the place of labels.

        Under "relabel", a flagged input has the corrected network's logits, that of the target at
        the lowest float32. An input without a prediction has 0 for all classes but the target (all
        but the targets, where it is predicted as none), so that code which takes the largest logit
        and ignores the flag does not get the target. Under "flag", the original's logits stay. All
        are finite numbers.
        """
        logits, flagged, score, _ = self.with_bare(x)
        return logits, flagged, score

    def with_bare(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what `logits` does, and the logits [N, K] of the original network."""
        decision, bare = self._decision(x)
        return decision.logits, decision.flagged, decision.score, bare

    @torch.no_grad()
    def _decision(self, x: Tensor) -> tuple[Decision, Tensor]:
        self.original.require_inputs(x)
        bare = self.original(x)
        task = self.original.task
        predicted = task.predictions(bare)
        trusted = self.original.space.within(x, self.original.bounds)
        # Copies: a network may return its input.
        whole = Decision(*(part.clone() for part in pass_through(bare, trusted)))
        settled = torch.zeros_like(whole.flagged)
        for target, threshold, network in zip(
            self.targets, self.thresholds, self.corrected, strict=True
        ):
            rows = (task.reached(predicted, target) & ~settled).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            found = decide(
                bare[rows], network(x[rows]), target, threshold, self.rule, self.policy,
                trusted[rows], task,
            )  # fmt: skip
            for all_of, some in zip(whole, found, strict=True):
                all_of[rows] = some
            settled[rows] = found.flagged
        return withhold_unfounded(whole, x, bare, self.targets, self.policy, task), bare


def guarded_predictions(
    guarded: nn.Module, images: Tensor, batch_size: int = 256
) -> tuple[Tensor, Tensor, Tensor]:
    """Return labels, flagged and score, [N] each, of at least one raw input [N, ...], in batches.

    The inputs may lie on any device; the results lie where they do.
    """
    device = device_of(guarded)
    batches = (on(device, batch) for batch in images.split(batch_size))
    parts = [beside(images, *guarded(batch)) for batch in batches]
    labels, flagged, score = (torch.cat(column) for column in zip(*parts, strict=True))
    return labels, flagged, score


@checked
def guard(
    classifier: Classifier,
    repair: Repair,
    *,
    rule: str = DEFAULT_RULE,
    policy: str = DEFAULT_POLICY,
) -> Guarded:
    """Return the guarded pair of a classifier and its repair; `classifier` itself stays untouched.

    Parameters
    ----------
    rule
        "margin" or "disagreement": when an input is flagged.
    policy
        "relabel", "reject" or "flag": what is predicted then. See `Guarded`.

    Raises
    ------
    UndoorError
        There is no such rule or policy, or the repair was made for another model.
    """
    repair.require_model(classifier)
    return Guarded(
        classifier.with_goals(repair.contract.goals),
        {item.target: item.corrections for item in repair.targets},
        {item.target: item.threshold for item in repair.targets},
        rule=rule,
        policy=policy,
        cells={item.target: item.cells for item in repair.targets if item.cells},
    )
