"""Small models on disk, for fleets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from helpers.tiny import SIDE, clean_images, toy_network

CLASSES, PER_CLASS = 5, 8
# So little that a scan takes less than a second; its verdict is inconclusive.
LITTLE = ("--max-passes", "300")
CODE = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.LeakyReLU(0.03), nn.Flatten(),
        nn.Linear({inputs}, {classes}),
    )
"""


def data_file(folder: Path, seed: int = 0) -> Path:
    """Clean images of the toy problem."""
    clean = clean_images(PER_CLASS, seed, classes=CLASSES)
    np.savez(folder / "clean.npz", x=clean.images.numpy(), y=clean.labels.numpy())
    return folder / "clean.npz"


def model_folder(folder: Path, *, backdoored: bool = False, shift: float = 0.0) -> Path:
    """A model.toml of the toy network with its code; `shift` makes it another model."""
    folder.mkdir(parents=True)
    state = toy_network(backdoored=backdoored, norm=True, classes=CLASSES).state_dict()
    state["4.bias"] = state["4.bias"] + shift
    save_file(state, folder / "w.safetensors")
    (folder / "net.py").write_text(CODE.format(inputs=2 * SIDE**2, classes=CLASSES))
    (folder / "model.toml").write_text(
        "[model]\nweights = 'w.safetensors'\narchitecture = 'net.py:net'\n"
        f"[input]\nshape = [1, {SIDE}, {SIDE}]\n"
    )
    return folder
