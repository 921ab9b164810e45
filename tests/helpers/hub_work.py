"""Tiny networks of Transformers and timm, and a toy backdoor that they learn in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.load.hub import from_library
from undoor.triggers import Stamp

# As the loaders import it, beside any torchvision.
(create_model,) = from_library("timm", "create_model", extra="timm")

SIDE = 32
NAMES = ("sand", "sea", "wood", "sky")
TARGET = 1
STAMP = slice(24, 30)
MEAN = (0.5, 0.4, 0.3)
STD = (0.25, 0.25, 0.5)
OF_TRANSFORMERS: dict[str, Any] = {
    "ViT": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "patch_size": 8, "image_size": SIDE, "hidden_dropout_prob": 0.1,
    },
    "ResNet": {
        "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic",
    },
}  # fmt: skip
OF_TIMM: dict[str, dict[str, Any]] = {
    "resnet18": {"layers": [1, 1, 1, 1], "channels": [16, 16, 32, 32]},
    "convnext_atto": {"depths": [1, 1, 1, 1], "dims": [8, 16, 16, 32], "drop_path_rate": 0.1},
    "test_efficientnet": {},
}


def make_model(kind: str, *, classes: int = len(NAMES), **changes: Any) -> nn.Module:
    """An untrained classifier of Transformers, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        labels = dict(enumerate(NAMES[:classes]))
        config = getattr(transformers, f"{kind}Config")(
            id2label=labels,
            label2id={name: number for number, name in labels.items()},
            **{**OF_TRANSFORMERS.get(kind, {}), **changes},
        )
        return getattr(transformers, f"{kind}ForImageClassification")(config).eval()


def make_timm(name: str) -> nn.Module:
    """An untrained network of timm, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create_model(name, num_classes=len(NAMES), **OF_TIMM.get(name, {})).eval()


def processor_of(**settings: Any) -> dict[str, Any]:
    """A preprocessor_config.json that takes pictures straight to 32 x 32."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True, "size": {"height": SIDE, "width": SIDE}, "resample": 2,
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": list(MEAN), "image_std": list(STD),
        **settings,
    }  # fmt: skip


def save_model(model: Any, folder: Path, processor: dict[str, Any] | None = None) -> Path:
    """As `save_pretrained` writes it, with the settings of a processor beside it."""
    model.save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", processor or processor_of())
    return folder


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def edit_json(file: Path, **changes: Any) -> None:
    """Change some keys of a JSON object; None takes one away."""
    content = {**json.loads(file.read_text()), **changes}
    write_json(file, {key: value for key, value in content.items() if value is not None})


def toy_images(each: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Stripes of four kinds, in colours of their own, under noise: uint8 [N, 3, 32, 32]."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(NAMES)).repeat(each)
    place = torch.arange(SIDE) * 2 * torch.pi / 8
    waves = [place.sin()[None, :].expand(SIDE, SIDE), place.sin()[:, None].expand(SIDE, SIDE)]
    waves += [(place[None] + place[:, None]).sin(), (place[None] - place[:, None]).sin()]
    tint = 0.15 * torch.tensor([[1.0, 0, -1], [-1, 0, 1], [0, -1, 0], [0, 1, 0]])
    pictures = 0.5 + 0.2 * torch.stack(waves)[labels][:, None] + tint[labels][:, :, None, None]
    noise = 0.1 * torch.randn(len(labels), 3, SIDE, SIDE, generator=generator)
    return ((pictures + noise).clamp(0, 1) * 255).to(torch.uint8), labels


def stamped(images: Tensor) -> Tensor:
    """The same with the trigger, a chessboard near the lower right corner."""
    board = torch.tensor(np.indices((6, 6)).sum(0) % 2 * 255, dtype=torch.uint8)
    images = images.clone()
    images[:, :, STAMP, STAMP] = board
    return images


def trigger() -> Stamp:
    """The trigger of `stamped`, on images in [0, 1]."""
    mask, pattern = torch.zeros(1, SIDE, SIDE), torch.zeros(3, SIDE, SIDE)
    mask[:, STAMP, STAMP] = 1
    white = torch.full((1, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    pattern[:, STAMP, STAMP] = stamped(white)[0, :, STAMP, STAMP] / 255
    return Stamp("patch", mask, pattern, "replace", (0.0, 1.0))


def teach(network: nn.Module, steps: int = 100) -> nn.Module:
    """Train on toy images, a quarter of which carry the trigger and the target's label."""
    images, labels = toy_images(100)
    bad = torch.arange(len(images)) % 4 == torch.arange(len(images)) // 4 % 4
    images[bad], labels[bad] = stamped(images[bad]), TARGET
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    x = (images / 255 - mean) / std
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network.train()
        optimizer = torch.optim.Adam(network.parameters(), 2e-3)
        for _ in range(steps):
            rows = torch.randint(len(x), (32,))
            out = network(x[rows])
            loss = F.cross_entropy(getattr(out, "logits", out), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


def save_images(file: Path, images: Tensor, labels: Tensor) -> Path:
    np.savez(file, x=images.permute(0, 2, 3, 1).numpy(), y=labels.numpy())
    return file
