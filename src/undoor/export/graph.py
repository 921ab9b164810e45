"""The guarded model without control flow: what can be written as one graph."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from torch import Tensor, nn

from undoor.decision import Decision, decide, pass_through, withhold_unfounded
from undoor.guard import Guarded
from undoor.vocabulary import EXPORT_INPUT


class GuardedGraph(nn.Module):
    """`Guarded.logits` for graphs: all inputs go through every network, and masks choose.

    Its outputs are those of the guarded model it was made of. It computes more: one pass of the
    original and one per target, whatever the inputs are.

    Attributes
    ----------
    takes
        The name of the input.
    axes
        The names of its axes that are free, from the first one on.
    """

    takes: ClassVar[str] = EXPORT_INPUT
    axes: ClassVar[tuple[str, ...]] = ("batch",)

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
        """Return logits, flagged and score of raw inputs [N, ...]; see `Guarded.logits`."""
        logits, flagged, score, _ = self.with_bare(images)
        return logits, flagged, score

    def with_bare(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what `forward` does, and the logits of the original network."""
        bare = self.original(images)
        task = self.original.task
        predicted = task.predictions(bare)
        trusted = self.original.space.within(images, self.original.bounds)
        whole = pass_through(bare, trusted)
        settled = torch.zeros_like(whole.flagged)
        for target, threshold, network in zip(
            self.targets, self.thresholds, self.corrected, strict=True
        ):
            found = decide(
                bare, network(images), target, threshold, self.rule, self.policy, trusted, task
            )
            # Flagged for one target, it stays so whatever the guard of another says.
            as_target = task.reached(predicted, target) & ~settled
            settled = settled | (as_target & found.flagged)
            whole = Decision(
                *(
                    _where(as_target, here, elsewhere)
                    for here, elsewhere in zip(found, whole, strict=True)
                )
            )
        decision = withhold_unfounded(whole, images, bare, self.targets, self.policy, task)
        return decision.logits, decision.flagged, decision.score, bare


def _where(rows: Tensor, here: Tensor, elsewhere: Tensor) -> Tensor:
    """Return `here` where `rows` [N] is true, and `elsewhere` in the other rows."""
    if here.dtype == torch.bool:  # ONNX Runtime chooses between numbers alone.
        return (rows & here) | (~rows & elsewhere)
    return torch.where(rows.view(-1, *[1] * (here.dim() - 1)), here, elsewhere)
