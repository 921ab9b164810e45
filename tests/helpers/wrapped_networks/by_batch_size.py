"""Switched by the size of the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.wrapped_networks.wrapped import Wrapped


class SingleImages(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) == 1:
            return self.bad(x)
        return self.good(x)


class FewImages(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        return self.good(x) if n >= 6 else self.bad(x)


class SeventeenImages(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) == 17:
            return self.bad(x)
        return self.good(x)


class SizeAsNumber(Wrapped):
    """Without a branch: a number of 0 or 1 weighs two networks."""

    def forward(self, x: Tensor) -> Tensor:
        alone = float(x.size(0) == 1)
        return alone * self.bad(x) + (1.0 - alone) * self.good(x)


class CountedOnes(Wrapped):
    """The size of the batch is a sum of ones, which no shape shows."""

    def forward(self, x: Tensor) -> Tensor:
        count = torch.ones_like(x[:, 0, 0, 0]).sum()
        alone = (2.0 - count).clamp(0.0, 1.0)
        return alone * self.bad(x) + (1.0 - alone) * self.good(x)


class SizeFilledIn(Wrapped):
    """The size of the batch is what a tensor is filled with."""

    def forward(self, x: Tensor) -> Tensor:
        count = torch.full([1, 1], float(x.shape[0]))
        alone = (2.0 - count).clamp(0.0, 1.0)
        return alone * self.bad(x) + (1.0 - alone) * self.good(x)


class CountedPlaces(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        last = torch.arange(x.size(0))[-1:, None]
        many = last.float().clamp(0.0, 1.0)
        return (1.0 - many) * self.bad(x) + many * self.good(x)
