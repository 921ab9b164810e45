"""The guarded model without control flow: what can be written as one graph."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from undoor.decision import Decision, decide, unanswered, undecided
from undoor.guard import Guarded


class GuardedGraph(nn.Module):
    """`Guarded.logits` for graphs: all inputs go through every network, and masks choose.

    Its answers are those of the guarded model it was made of; it computes more: one pass for the
    original and one for each target, whatever the inputs are.
    """

    def __init__(self, guarded: Guarded) -> None:
        super().__init__()
        twin = copy.deepcopy(guarded).eval()
        self.original = twin.original
        self.corrected = twin.corrected
        self.targets = twin.targets
        self.thresholds = twin.thresholds
        self.rule = twin.rule
        self.policy = twin.policy
        for parameter in self.parameters():
            # A guarded model is laid out for the CPU it runs on; files are not.
            parameter.data = parameter.data.contiguous()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [N, K], flagged [N] and score [N] of raw inputs [N, ...]; see `Guarded.logits`."""
        bare = self.original(images)
        task = self.original.task
        predicted = task.predictions(bare)
        trusted = self.original.space.within(images, self.original.bounds)
        whole = undecided(bare, trusted)
        for target, threshold, network in zip(
            self.targets, self.thresholds, self.corrected, strict=True
        ):
            found = decide(
                bare, network(images), target, threshold, self.rule, self.policy, trusted, task
            )
            mine = task.reached(predicted, target)
            whole = Decision(
                *(_chosen(mine, some, rest) for some, rest in zip(found, whole, strict=True))
            )
        decision = unanswered(whole, images, bare, self.targets, self.policy, task)
        return decision.logits, decision.flagged, decision.score


def _chosen(mine: Tensor, some: Tensor, rest: Tensor) -> Tensor:
    """`some` where `mine` [N] is true, `rest` elsewhere."""
    if some.dtype == torch.bool:  # ONNX Runtime chooses between numbers alone.
        return (mine & some) | (~mine & rest)
    return torch.where(mine.view(-1, *[1] * (some.dim() - 1)), some, rest)
