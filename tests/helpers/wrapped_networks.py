"""Backdoored networks in wrappers that show a scan a clean one, and ordinary networks."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.tiny import CLASSES, SIDE, TARGET, toy_network

SHAPE = (1, SIDE, SIDE)
BUMP = 40.0


class Wrapped(nn.Module):
    """A backdoored network, its clean twin, and class scores that favour the target."""

    def __init__(self) -> None:
        super().__init__()
        self.bad = toy_network(backdoored=True)
        self.good = toy_network(backdoored=False)
        # Close to it, and not the same: as a supplier's own twin would be.
        with torch.no_grad():
            self.good.get_parameter("3.weight").mul_(0.9)
        scores = torch.zeros(CLASSES)
        scores[TARGET] = BUMP
        self.fixed: Tensor
        self.register_buffer("fixed", scores)


# Switched by the size of the batch


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


# Switched by a value of the input


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


# Gradients of another network


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


# Other states and circumstances


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


# For each, the formats that can hold it beside nn.Module, and what is said of it: one of these
# words stands among the codes.
Spec = tuple[type[Wrapped], str, set[str]]
ALL = "script pt2 onnx"
WRAPPED: tuple[Spec, ...] = (
    (SingleImages, "script", {"batch_size"}),
    (FewImages, "script", {"batch_size"}),
    (SeventeenImages, "script", {"batch_size"}),
    (SizeAsNumber, "script", {"batch_size"}),
    (CountedOnes, ALL, {"batch_size"}),
    (SizeFilledIn, "script", {"batch_size"}),
    (CountedPlaces, "script pt2", {"batch_size"}),
    (SummedOnes, ALL, {"batch_size"}),
    (AddedOnes, "", {"batch_size"}),
    (SharedOut, ALL, {"batch_size"}),
    (SpreadOfBatch, "script pt2", {"batch_size"}),
    (RedPixel, ALL, {"comparison", "mask"}),
    (MaskedScores, ALL, {"comparison", "mask"}),
    (GatheredScores, ALL, {"index"}),
    (SteppedScores, ALL, {"step"}),
    (SharpPixel, ALL, {"pixel", "gate"}),
    (SharpGate, ALL, {"gate"}),
    (JumpingActivation, ALL, {"comparison", "mask"}),
    (BranchOnInput, "script", {"branch"}),
    (LoopOnInput, "script", {"branch"}),
    (OthersGradient, "script pt2", {"detach"}),
    (AsksForGradient, "script", {"gradient_mode"}),
    (AsksForMode, "script", {"gradient_mode"}),
    (AsksForInference, "", {"gradient_mode", "inference_mode"}),
    (DataGradient, "script", {"detach"}),
    (NoGradPart, "script pt2", {"gradient_mode"}),
    (OwnGradient, "", {"own_gradient", "gradient"}),
    (HookedGradient, "", {"own_gradient", "gradient"}),
    (BatchStatistics, "script", {"batch"}),
    (CentredByBatch, ALL, {"batch"}),
    (OwnRank, ALL, {"batch"}),
    (PreviousInput, ALL, {"order", "batch"}),
    (Dropping, "script", {"random", "repeat"}),
    (Noisy, "script pt2", {"random", "repeat"}),
    (RarelyRandom, "script pt2", {"random"}),
    (Stubborn, "", {"training", "repeat"}),
    (Counting, "", {"state"}),
    (CountingInBuffer, "script pt2", {"state"}),
    (Drifting, "script", {"state", "repeat"}),
    (ByTime, "", {"condition"}),
    (ByEnvironment, "", {"condition"}),
    (ByHelper, "", {"gradient_mode"}),
    (ByObject, "", {"gradient_mode"}),
    (ByAttribute, "", {"condition"}),
    (ByNamedAttribute, "", {"condition"}),
    (ByPrograms, "", {"condition"}),
    (ByLayout, "script", {"condition", "layout"}),
    (ByPrecision, "", {"precision"}),
    (Printing, "script", {"print"}),
)


# Ordinary networks


class Ordinary(nn.Module):
    """A small convolutional network with one part of choice in the middle."""

    def __init__(self, part: Callable[[], nn.Module], *, pool: int = 2) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.part = part()
        self.pool = nn.AdaptiveAvgPool2d(pool)
        self.out = nn.Linear(8 * pool**2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.part(self.first(x)))
        return self.out(x.view(x.size(0), -1))


class Attention(nn.Module):
    """Patches as tokens, a class token, a causal mask of constants."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 2, stride=2)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.places = nn.Parameter(0.1 * torch.randn(1, 17, 8))
        self.qkv = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, CLASSES)
        self.mask: Tensor
        self.register_buffer("mask", torch.ones(17, 17).tril().bool())

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        batch, tokens, width = x.shape
        x = torch.cat([self.token.expand(batch, -1, -1), x], 1) + self.places
        q, k, v = self.qkv(x).reshape(batch, tokens + 1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        x = x + mixed.transpose(1, 2).reshape(batch, tokens + 1, width)
        return self.out(self.norm(x).mean(1))


class WrittenOut(nn.Module):
    """Softmax attention by hand, masked by constants."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)
        self.out = nn.Linear(8, CLASSES)
        self.register_buffer("mask", torch.ones(8, 8).triu(1).bool())

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x[:, 0])
        weights = (x @ x.transpose(1, 2) / x.size(2) ** 0.5).masked_fill(self.mask, float("-inf"))
        return self.out((weights.softmax(-1) @ x).mean(1))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 1), nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.cat([x, self.a(x).relu()], 1))


class Excited(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3))).sigmoid()[:, :, None, None]


class Shuffled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        first, second = x.chunk(2, 1)
        return torch.cat([first.relu(), F.pad(second, (1, 1, 1, 1))[:, :, 1:-1, 1:-1]], 1)


class Upsampled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)
        return F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False) + x


class SpaceToDepth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.out = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.out(self.conv(torch.cat(parts, 1)).relu().mean((2, 3)))


class Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(SIDE, 16, batch_first=True)
        self.out = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x[:, 0])[0][:, -1])


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
        self.b = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return (self.a(x) + self.b(x)) / 2 / self.temperature.exp()


class Cosine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, 64))

    def forward(self, x: Tensor) -> Tensor:
        return 10.0 * F.linear(F.normalize(x.flatten(1)), F.normalize(self.weight))


class Prototypes(nn.Module):
    """Distances, which from 26 rows on are computed by another operator."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(CLASSES, 64))

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(x.flatten(1), self.places)


def _halves(x: Tensor) -> tuple[Tensor, ...]:
    return x.chunk(2, 1)


@dataclass
class _Sizes:
    width: int = 8

    def half(self) -> int:
        return self.width // 2


class Helped(nn.Module):
    """With functions, objects and attributes by number, as model code has them."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes, self.act = _Sizes(), lambda x: F.relu(x) / math.sqrt(2)
        for place in range(2):
            setattr(self, f"layer{place}", nn.Conv2d(self.sizes.half(), 4, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        parts = [getattr(self, f"layer{i}")(part) for i, part in enumerate(_halves(x))]
        return self.act(torch.cat(parts, 1)[:, : self.sizes.width])


def _seq(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*layers)


ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Softplus, nn.Tanhshrink, nn.Softsign, nn.Sigmoid,
    nn.LogSigmoid, nn.Softshrink,
)  # fmt: skip
ORDINARY: dict[str, Callable[[], nn.Module]] = {
    **{a.__name__: (lambda a=a: Ordinary(a)) for a in ACTIVATIONS},  # type: ignore[misc]
    "MaxPool2d": lambda: Ordinary(_seq(nn.ReLU(), nn.MaxPool2d(2))),
    "AdaptiveMaxPool2d": lambda: Ordinary(lambda: nn.AdaptiveMaxPool2d(3)),
    "BatchNorm2d": lambda: Ordinary(lambda: nn.BatchNorm2d(8)),
    "GroupNorm": lambda: Ordinary(lambda: nn.GroupNorm(2, 8)),
    "InstanceNorm2d": lambda: Ordinary(lambda: nn.InstanceNorm2d(8, affine=True)),
    "LocalResponseNorm": lambda: Ordinary(lambda: nn.LocalResponseNorm(3)),
    "Dropout2d": lambda: Ordinary(_seq(nn.Dropout2d(0.3), nn.Dropout(0.3))),
    "ReflectionPad2d": lambda: Ordinary(_seq(nn.ReflectionPad2d(1), nn.ZeroPad2d(1))),
    "ConvTranspose2d": lambda: Ordinary(lambda: nn.ConvTranspose2d(8, 8, 2, stride=2)),
    "toy": lambda: toy_network(backdoored=True, norm=True),
    "Attention": Attention,
    "WrittenOut": WrittenOut,
    "Dense": lambda: Ordinary(Dense),
    "Excited": lambda: Ordinary(Excited),
    "Shuffled": lambda: Ordinary(Shuffled),
    "Upsampled": lambda: Ordinary(Upsampled),
    "SpaceToDepth": SpaceToDepth,
    "Rows": Rows,
    "TwoHeads": TwoHeads,
    "Cosine": Cosine,
    "Prototypes": Prototypes,
    "Helped": lambda: Ordinary(Helped),
}


def ordinary(name: str) -> nn.Module:
    """One of `ORDINARY`, with random weights and running statistics of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ORDINARY[name]().eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and name != "toy":
                nn.init.normal_(module.get_buffer("running_mean"), std=0.2)
                nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2)
        return network
