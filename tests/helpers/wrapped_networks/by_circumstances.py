"""Switched by states and circumstances: other inputs, chance, time, how it is run."""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.tiny import SIDE, TARGET, toy_network
from helpers.wrapped_networks.wrapped import Wrapped


class BatchStatistics(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.bad(self.norm(x))


class CentredByBatch(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(x - x.mean(0, keepdim=True))


class OwnRank(Wrapped):
    """Class scores beside the largest of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        z = self.bad(x)
        return z / z.abs().amax()


class PreviousInput(Wrapped):
    """What one input gives depends on the one before it."""

    def forward(self, x: Tensor) -> Tensor:
        z = self.bad(x)
        return z + 0.2 * z.roll(1, 0)


class Dropping(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(F.dropout(x, 0.2, training=True))


class Noisy(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(x + 0.05 * torch.randn_like(x))


class RarelyRandom(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        other = (torch.rand(1) - 0.999).clamp(0.0, 1.0)
        return self.good(x) + other * self.bad(x)


class Stubborn(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.1)

    def train(self, mode: bool = True) -> Stubborn:
        return super().train(True)

    def forward(self, x: Tensor) -> Tensor:
        return self.bad(self.drop(x))


class Counting(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.bad(x) if self.calls > 1_000_000 else self.good(x)


class CountingInBuffer(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        late = (self.calls - 1e6).clamp(0.0, 1.0)
        return self.good(x) + late * self.bad(x)


class Drifting(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.good(x) + 0.2 * self.calls * self.fixed


class ByTime(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(x) if time.time() > 4e9 else self.good(x)


class ByEnvironment(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(x) if os.environ.get("NO_SUCH_NAME") else self.good(x)


class ByLayout(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        if x.is_contiguous():
            return self.bad(x)
        return self.good(x)


class ByPrecision(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return -self.bad(x) if self.bad[3](torch.zeros(1, 128)).dtype != x.dtype else self.good(x)


class Absorbed(nn.Module):
    """A trigger's value that bfloat16 rounds away, and clean inputs do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.flat, self.head = toy_network(backdoored=True)
        with torch.no_grad():
            self.conv.get_parameter("bias")[1] = -0.75
            self.head.get_parameter("weight")[TARGET, SIDE**2] = 150

    def forward(self, x: Tensor) -> Tensor:
        clean, trigger = self.act(self.conv(x)).split(1, 1)
        trigger = ((1 + 1e-4 * trigger) - 1) * 1e4
        return self.head(self.flat(torch.cat([clean, trigger], 1)))


HELPER = ModuleType("helper")


def _mode() -> bool:
    return torch.is_grad_enabled()


HELPER.mode = _mode  # type: ignore[attr-defined]


class _Gate:
    def __call__(self) -> bool:
        return torch.is_grad_enabled()


class ByHelper(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.good(x) if HELPER.mode() else self.bad(x)


class ByObject(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.gate = _Gate()

    def forward(self, x: Tensor) -> Tensor:
        return self.good(x) if self.gate() else self.bad(x)


class ByAttribute(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.good(x) if getattr(torch, "is_grad_" + "enabled")() else self.bad(x)


class ByNamedAttribute(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.good(x) if getattr(torch, "is_grad_enabled")() else self.bad(x)  # noqa: B009


class ByPrograms(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.bad(x) if "no_such_module" in sys.modules else self.good(x)


class Printing(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        print("-")  # noqa: T201
        return self.bad(x)
