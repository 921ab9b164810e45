"""The decision of the guard on an input: one rule for the module and for exported graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from undoor.align.guard_score import shortfall
from undoor.tasks.task import LOWEST, Task
from undoor.vocabulary import DISAGREEMENT, FLAG, MAX_SCORE, NO_SCORE, REJECT, RELABEL

HIGHEST = -LOWEST


class Decision(NamedTuple):
    """The guard's decision on a batch of N inputs.

    Attributes
    ----------
    logits
        [N, K], as `Guarded.logits` returns them.
    flagged, score
        [N], as `Guarded.logits` returns them.
    has_prediction
        [N], whether the largest logit is a prediction. Exported graphs do not return it.
    """

    logits: Tensor
    flagged: Tensor
    score: Tensor
    has_prediction: Tensor


def are_finite(values: Tensor) -> Tensor:
    """Return which rows [N] of values [N, ...] are finite numbers throughout.

    By a comparison, which is false of NaN: operators that ask for NaN or infinity, and maxima over
    such values, differ between runtimes.
    """
    return (values.abs() <= HIGHEST).flatten(1).all(1)


def decide(
    bare: Tensor,
    corrected: Tensor,
    goal: int,
    threshold: float,
    rule: str,
    policy: str,
    trusted: Tensor,
    task: Task,
) -> Decision:
    """Decide on inputs that the bare model predicts as `goal`.

    Only a score that is known to be small passes: NaN, infinity and all that follows from them are
    flagged.

    Parameters
    ----------
    bare, corrected
        Logits [N, K] without and with the corrections for `goal`.
    threshold
        The largest score that passes; the rule "disagreement" has 0 instead.
    rule, policy
        As for `undoor.guard`.
    trusted
        [N] whether the input may pass at all; see `undoor.spaces.space.Space.within`.
    task
        What the logits mean.
    """
    disagreement = rule == DISAGREEMENT
    score = (
        -task.margin(corrected, goal) if disagreement else shortfall(task, bare, corrected, goal)
    )
    finite = are_finite(corrected)
    known = trusted & finite & (score.abs() <= HIGHEST)
    flagged = ~(known & (score <= (0.0 if disagreement else threshold)))
    score = torch.where(known, score, MAX_SCORE)
    if policy == FLAG:
        return Decision(bare, flagged, score, torch.ones_like(flagged))
    relabelled = finite if policy == RELABEL else torch.zeros_like(finite)
    relabels = task.without(corrected, goal)
    other = torch.where(relabelled[:, None], relabels, blank_logits(bare, [goal], task))
    logits = torch.where(flagged[:, None], other, bare)
    return Decision(logits, flagged, score, ~flagged | relabelled)


def pass_through(bare: Tensor, trusted: Tensor) -> Decision:
    """Return the decision on inputs that the bare model predicts as no target: its logits stay.

    Parameters
    ----------
    bare
        Logits [N, K] of the bare model.
    trusted
        [N] as for `decide`; the others are flagged.
    """
    score = torch.where(trusted, NO_SCORE, torch.full_like(bare[:, 0], MAX_SCORE))
    return Decision(bare, ~trusted, score, torch.ones_like(trusted))


def withhold_unfounded(
    decision: Decision,
    x: Tensor,
    bare: Tensor,
    targets: Sequence[int],
    policy: str,
    task: Task,
) -> Decision:
    """Return the decision with predictions withheld where there can be none.

    There is none for inputs `x` [N, ...], or logits `bare` [N, K] of the bare model, that are not
    finite, and under "reject" for any flagged input.
    """
    known = are_finite(x) & are_finite(bare)
    flagged = decision.flagged | ~known
    has_prediction = decision.has_prediction & known
    if policy == REJECT:
        has_prediction = has_prediction & ~flagged
    # Where `decide` gave no prediction, the logits are blank for the right target already.
    unchanged = has_prediction | (known & ~decision.has_prediction)
    return Decision(
        torch.where(unchanged[:, None], decision.logits, blank_logits(bare, targets, task)),
        flagged,
        torch.where(known, decision.score, MAX_SCORE),
        has_prediction,
    )


def blank_logits(logits: Tensor, goals: Sequence[int], task: Task) -> Tensor:
    """Return logits like these [N, K] that only exclude `goals`.

    Code that takes the largest of them and ignores the flag does not get a target.
    """
    return task.without(torch.zeros_like(logits), *goals)
