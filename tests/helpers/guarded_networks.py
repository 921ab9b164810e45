"""Networks of every family, small, their repairs touching some of their sites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.made_repairs import make_repair
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.networks import NETWORKS
from undoor.repairs.record import Repair
from undoor.sites import find_sites

CLASSES = 4


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(),
                                 nn.Linear(2 * width, width))  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        n, tokens, width = z.shape
        q, k, v = self.qkv(self.norm(z)).view(n, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        z = z + self.out(mixed.reshape(n, tokens, width))
        return z + self.mlp(z)


class ViT(nn.Module):
    """Patches of 8 x 8 and attention between them."""

    def __init__(self, num_classes: int, width: int = 16) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.position = nn.Parameter(torch.randn(1, 16, width))
        self.blocks = _Block(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        z = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.blocks(z).mean(1))


FAMILIES: dict[str, Callable[..., nn.Module]] = {
    **{name: lambda n, make=make: make(num_classes=n, width=4) for name, make in NETWORKS.items()},
    "ViT": ViT,
}


def subject(family: str, seed: int = 0) -> tuple[Classifier, Repair]:
    """A network of random weights on images from 0 to 255, and a repair of the class that it
    answers most, its threshold in the middle of the scores."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FAMILIES[family](CLASSES)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.get_buffer("running_mean"), std=0.2)
                nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)
                nn.init.uniform_(module.weight, 1, 2)
                nn.init.normal_(module.bias, std=0.2)
    model = Classifier(
        network, input_shape=(3, 32, 32), bounds=(0, 255), mean=[120.0] * 3, std=[60.0] * 3
    )
    x = inputs(64)
    target = int(model(x).argmax(1).mode().values)
    item = make_repair(model, (target,)).targets[0]
    chosen = {site.name: site.shape for site in find_sites(model)[1::3]}
    item = replace(
        item,
        corrections={name: _correction(shape) for name, shape in chosen.items()},
        sites=tuple(site for site in item.sites if site.name in chosen),
    )
    whole = replace(make_repair(model, ()), targets=(item,))
    return model, with_threshold(model, whole, x)


def with_threshold(model: Classifier, repair: Repair, x: Tensor) -> Repair:
    """The same repair, its guard flagging half of what it answers with the target."""
    from undoor.guard import guard

    score = guard(model, repair).logits(x)[2]
    (item,) = repair.targets
    finite = score[score.isfinite()].sort().values
    middle = float(finite[len(finite) // 2 - 1 : len(finite) // 2 + 1].mean())
    item = replace(item, calibration=replace(item.calibration, threshold=middle))
    return replace(repair, targets=(item,))


def inputs(count: int, seed: int = 5) -> Tensor:
    """Raw images from 0 to 255, of contrasts that differ."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 3, 4, 4, generator=generator).repeat_interleave(8, 2)
    return (127 + 90 * noise.repeat_interleave(8, 3)).clamp(0, 255)


def _correction(shape: tuple[int, ...]) -> Correction:
    unit = (shape[0], *[1] * (len(shape) - 1))
    generator = torch.Generator().manual_seed(shape[0])
    scale = 0.3 + 1.5 * torch.rand(unit, generator=generator)
    shift = torch.randn(unit, generator=generator)
    return Correction(scale, shift, torch.full(unit, -3.0), torch.full(unit, 3.0))
