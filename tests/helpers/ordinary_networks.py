"""Ordinary networks, of which a scrutiny finds nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.tiny import CLASSES, SIDE, toy_network


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
