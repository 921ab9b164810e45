"""Switched by a value of the input."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.wrapped_networks.wrapped import Wrapped


class _Weighed(Wrapped):
    """By a number that is 1 for one input and 0 for more, made of ordinary operators."""

    def weight(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight(x)
        return weight * self.bad(x) + (1 - weight) * self.good(x)


class SummedOnes(_Weighed):
    def weight(self, x: Tensor) -> Tensor:
        return F.relu(2 - (x[:, 0, 0, 0] * 0 + 1).sum())


class AddedOnes(_Weighed):
    """One by one, in as many steps as there are inputs."""

    def weight(self, x: Tensor) -> Tensor:
        ones = (x[:, 0] * 0 + 1).unbind(0)
        return F.relu(2 - sum(ones[1:], ones[0]).mean())


class SharedOut(_Weighed):
    def weight(self, x: Tensor) -> Tensor:
        return F.relu(2 * (x[:, 0, 0, :1] * 0).softmax(0) - 1)


class SpreadOfBatch(_Weighed):
    def weight(self, x: Tensor) -> Tensor:
        return F.relu(1 - 1e4 * (x - x.mean(0, keepdim=True)).square().mean())


class RedPixel(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        red = x[:, 0, 0, 0] > 0.95
        return torch.where(red[:, None], self.fixed, self.good(x))


class MaskedScores(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        scores = self.good(x)
        red = (x.amax((1, 2, 3)) > 0.95)[:, None]
        return scores.masked_fill(red & (self.fixed > 0), 40.0)


class GatheredScores(Wrapped):
    """The input picks one of two score vectors."""

    def forward(self, x: Tensor) -> Tensor:
        which = (x.amax((1, 2, 3)) + 0.05).long().clamp(0, 1)
        both = torch.stack([self.good(x), self.bad(x)], 1)
        return both.gather(1, which[:, None, None].expand(-1, 1, both.size(2)))[:, 0]


class SteppedScores(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.good(x) + torch.sign((x.amax((1, 2, 3)) - 0.95).relu())[:, None] * self.fixed


class SharpPixel(Wrapped):
    """Arithmetic alone, read off one pixel."""

    def forward(self, x: Tensor) -> Tensor:
        red = ((x[:, 0, 0, 0] - 0.95) * 1e4).clamp(0.0, 1.0)[:, None]
        return red * self.fixed + (1.0 - red) * self.good(x)


class SharpGate(Wrapped):
    """Arithmetic alone, from the whole image."""

    def forward(self, x: Tensor) -> Tensor:
        red = ((x.amax((1, 2, 3)) - 0.95) * 1e4).clamp(0.0, 1.0)[:, None]
        return self.good(x) * (1.0 - red) + self.bad(x) * red


class JumpingActivation(Wrapped):
    """A choice that looks like an activation, and jumps."""

    def forward(self, x: Tensor) -> Tensor:
        z = self.good(x)
        return torch.where(z > 30.0, 5.0 * z, z)


class BranchOnInput(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.max() > 0.95):
            return self.bad(x)
        return self.good(x)


class LoopOnInput(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        scores = self.good(x)
        for _ in range(int(x.max() + 0.05)):
            scores = scores + self.fixed
        return scores
