"""With the gradients of another network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from helpers.wrapped_networks.wrapped import Wrapped


class OthersGradient(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        good = self.good(x)
        return self.bad(x).detach() + good - good.detach()


class AsksForGradient(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            return self.good(x)
        return self.bad(x)


class AsksForMode(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return self.good(x)
        return self.bad(x)


class AsksForInference(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(x) * 1.1 if torch.is_inference_mode_enabled() else self.good(x)


class DataGradient(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(x.data) + 0.001 * self.good(x)


class NoGradPart(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            bad = self.bad(x)
        return bad + 0.001 * self.good(x)


class _Borrowed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bad: Tensor, good: Tensor) -> Tensor:
        return bad.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return torch.zeros_like(gradients[0]), gradients[0]


class OwnGradient(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return _Borrowed.apply(self.bad(x), self.good(x))


class HookedGradient(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        z = self.bad(x)
        if z.requires_grad:
            z.register_hook(lambda g: -g)
        return z
