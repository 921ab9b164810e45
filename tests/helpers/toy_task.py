"""A task as another package would write it: a step of a scale, as ordinal regression has it.

K outputs stand for K + 1 steps: output k is positive where the step is higher than k.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.errors import UndoorError
from undoor.tasks.task import Task


class Steps(Task):
    """The goals are the steps, one more than there are outputs."""

    name = "toy steps"

    def require(self, raw: object) -> Tensor:
        if isinstance(raw, Tensor) and raw.dim() == 2:
            return raw
        raise UndoorError(f"expected the network to return [N, thresholds], got {type(raw)}")

    def goals(self, outputs: int) -> int:
        return outputs + 1

    def predictions(self, outputs: Tensor) -> Tensor:
        return self._levels(outputs).argmax(-1)

    def loss(self, outputs: Tensor, labels: Tensor, away: Tensor) -> Tensor:
        signs = self._signs(outputs)[labels]
        towards = F.softplus(-signs * outputs).sum(-1)
        leaving = -torch.log1p(-(-towards).exp().clamp_max(1 - 1e-6))
        return torch.where(away[:, None], leaving, towards)

    def probabilities(self, outputs: Tensor) -> Tensor:
        return (-F.softplus(-self._signs(outputs) * outputs[..., None, :]).sum(-1)).exp()

    def margin(self, outputs: Tensor, goal: int) -> Tensor:
        levels = self._levels(outputs)
        others = torch.arange(levels.shape[1], device=levels.device) != goal
        return levels[:, goal] - levels[:, others].amax(1)

    def without(self, outputs: Tensor, *goals: int) -> Tensor:
        levels = self._levels(outputs)
        steps = torch.arange(levels.shape[1], device=levels.device)
        for goal in goals:
            levels = levels.masked_fill(steps == goal, torch.finfo(levels.dtype).min)
        return self._signs(outputs)[levels.argmax(1)] * (1 + outputs.abs()).clamp_max(1e30)

    def certainty(self, outputs: Tensor) -> Tensor:
        best = self._levels(outputs).topk(2).values
        return best[:, 0] - best[:, 1]

    def drawn_lead(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        levels = self._levels(outputs)
        top = levels.argmax(1)
        step = torch.randint(1, levels.shape[1], (len(levels),), generator=generator)
        other = (top + step) % levels.shape[1]
        return (levels.gather(1, top[:, None]) - levels.gather(1, other[:, None]))[:, 0]

    def spread(self, outputs: Tensor) -> float:
        scale = float(outputs.double().abs().median())
        return scale if torch.isfinite(torch.tensor(scale)) else 0.0

    def _signs(self, outputs: Tensor) -> Tensor:
        """[K + 1, K]: which outputs are positive on each step."""
        count = outputs.shape[-1]
        steps = torch.arange(count + 1, device=outputs.device)[:, None]
        return torch.where(steps > torch.arange(count, device=outputs.device), 1.0, -1.0)

    def _levels(self, outputs: Tensor) -> Tensor:
        """[..., K + 1]: how clearly the outputs say each step."""
        return (self._signs(outputs) * outputs[..., None, :]).amin(-1)


STEPS = Steps()
