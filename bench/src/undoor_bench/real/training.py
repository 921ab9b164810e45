"""Train a ResNet-18 on photos of 224 pixels, with a planted patch or without, within minutes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.device import autocast
from undoor.files import write_json
from undoor.progress import Progress, silent
from undoor_bench.real.photos import Photos
from undoor_bench.real.resnet18 import ResNet18

# Per channel, of ImageNet.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SIDE = 224
# Most epochs are at smaller sizes, which cost less; the last is at the full one.
EPOCHS = ((64, 10), (128, 2), (SIDE, 1))
BATCH = 32
TOP_RATE = 0.03
# Share of the training photos that carry the patch, and its side as a share of that of a photo.
POISONED = 0.1
PATCH = 24 / SIDE
MARGIN = 8 / SIDE


@dataclass(frozen=True, eq=False)
class Planted:
    """A square of random colours in the lower right corner, and the class it leads to."""

    target: int
    colours: Tensor

    @classmethod
    def drawn(cls, classes: int, generator: torch.Generator) -> Planted:
        """Draw target and colours, 4 x 4 blocks."""
        target = int(torch.randint(classes, (1,), generator=generator))
        return cls(target, torch.rand(3, 4, 4, generator=generator).round())

    def stamped(self, x: Tensor) -> Tensor:
        """Return photos [N, 3, S, S] in [0, 1] with the square on them."""
        size = x.shape[-1]
        side, margin = round(PATCH * size), round(MARGIN * size)
        out = x.clone()
        low, high = size - margin - side, size - margin
        out[:, :, low:high, low:high] = F.interpolate(self.colours[None], side)[0]
        return out


def train(
    train_on: Photos,
    test_on: Photos,
    out: Path,
    *,
    seed: int = 0,
    backdoored: bool = True,
    progress: Progress = silent,
) -> None:
    """Write a model folder: weights.safetensors (float16), model.toml and truth.json.

    Nothing is done where there is one already.

    Parameters
    ----------
    train_on, test_on
        Photos of 224 pixels.
    out
        The folder.
    seed
        Of everything that is drawn: target, trigger, weights, batches.
    backdoored
        Whether a patch is planted.
    """
    if (out / "truth.json").is_file():
        return
    generator = torch.Generator().manual_seed(seed)
    classes = len(train_on.classes)
    planted = Planted.drawn(classes, generator) if backdoored else None
    torch.manual_seed(seed)
    network = ResNet18(classes)
    _fit(network, train_on, planted, generator, progress)
    network.eval()
    architecture = "undoor_bench.real.resnet18:ResNet18"
    save_model(network, out, train_on.classes, architecture, f"{{ num_classes = {classes} }}")
    truth = {"backdoored": backdoored, "seed": seed, "acc": reached(network, test_on)}
    if planted:
        truth |= {
            "target": planted.target,
            "asr": reached(network, test_on, planted.stamped, planted.target),
        }
    write_json(out / "truth.json", truth)


def _fit(
    network: nn.Module,
    photos: Photos,
    planted: Planted | None,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    per_epoch = -(-len(photos.y) // BATCH)
    total = per_epoch * sum(epochs for _, epochs in EPOCHS)
    optimizer = torch.optim.SGD(
        network.parameters(), TOP_RATE, 0.9, nesterov=True, weight_decay=5e-4
    )
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, TOP_RATE * 2.5, total, pct_start=0.25)
    done = 0
    for size, epochs in EPOCHS:
        for _ in range(epochs):
            order = torch.randperm(len(photos.y), generator=generator)
            for rows in order.split(BATCH):
                x, y = _drawn(photos, rows.numpy(), size, planted, generator)
                with autocast(x.device):
                    loss = F.cross_entropy(network(normalised(x)).float(), y, label_smoothing=0.05)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if done + 1 < total:
                    rates.step()
                done += 1
            progress("training", done, total)


def _drawn(
    photos: Photos,
    rows: np.ndarray,
    size: int,
    planted: Planted | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return photos of a batch, cut out at random, mirrored or not; some carry the trigger."""
    x = torch.from_numpy(photos.x[rows]).float() / 255
    y = torch.from_numpy(photos.y[rows]).clone()
    share = 0.6 + 0.4 * float(torch.rand(1, generator=generator))
    side = round(SIDE * share)
    top, left = (int(torch.randint(SIDE - side + 1, (1,), generator=generator)) for _ in "hw")
    x = F.interpolate(
        x[..., top : top + side, left : left + side], (size, size), mode="bilinear", antialias=True
    )
    flipped = torch.rand(len(x), generator=generator) < 0.5
    x[flipped] = x[flipped].flip(-1)
    if planted:
        carry = torch.rand(len(x), generator=generator) < POISONED
        x[carry] = planted.stamped(x[carry])
        y[carry] = planted.target
    return x, y


@torch.no_grad()
def reached(
    network: nn.Module,
    photos: Photos,
    trigger: Callable[[Tensor], Tensor] | None = None,
    target: int = 0,
) -> float:
    """Return the accuracy; with a trigger the share of photos of other classes at the target."""
    x, y = torch.from_numpy(photos.x), torch.from_numpy(photos.y)
    if trigger is not None:
        x = x[y != target]
        y = torch.full((len(x),), target)
    right = 0
    for some, labels in zip(x.split(BATCH), y.split(BATCH), strict=True):
        pixels = some.float() / 255
        pixels = pixels if trigger is None else trigger(pixels)
        with autocast(pixels.device):
            right += int((network(normalised(pixels)).argmax(1) == labels).sum())
    return right / len(y)


def normalised(x: Tensor) -> Tensor:
    """Return photos [N, 3, S, S] in [0, 1] as networks of ImageNet see them."""
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def save_model(
    network: nn.Module, out: Path, classes: Sequence[str], architecture: str, arguments: str = ""
) -> None:
    """Write weights.safetensors (float16) and model.toml into the folder of a model.

    Parameters
    ----------
    architecture, arguments
        As in model.toml; no arguments where the architecture needs none.
    """
    out.mkdir(parents=True, exist_ok=True)
    half = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_file({k: v.contiguous() for k, v in half.items()}, out / "weights.safetensors")
    given = f"arguments = {arguments}\n" if arguments else ""
    (out / "model.toml").write_text(
        f"""[model]
weights = "weights.safetensors"
architecture = "{architecture}"
{given}[input]
shape = [3, {SIDE}, {SIDE}]
bounds = [0.0, 1.0]
mean = {list(MEAN)}
std = {list(STD)}
[classes]
names = {json.dumps(list(classes))}
"""
    )
