"""The guarded model without control flow: what can be written as one graph."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from undoor.align.margin import margin, shortfall, without
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
        answers = bare.argmax(1)
        logits = bare
        flagged = torch.zeros_like(answers, dtype=torch.bool)
        score = torch.full_like(bare[:, 0], -torch.inf)
        for target, threshold, network in zip(
            self.targets, self.thresholds, self.corrected, strict=True
        ):
            mine = answers == target
            corrected = network(images)
            if self.rule == "disagreement":
                own = -margin(corrected, target)
                hit = mine & (own > 0)
            else:
                own = shortfall(bare, corrected, target)
                hit = mine & (own > threshold)
            score = torch.where(mine, own, score)
            flagged = flagged | hit
            if self.policy == "reject":
                corrected = torch.zeros_like(corrected)
            if self.policy != "flag":
                logits = torch.where(hit[:, None], without(corrected, target), logits)
        return logits, flagged, score
