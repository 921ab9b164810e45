"""Folders of models whose code is honest, or has a branch."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

HONEST = """\
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten()
        self.head = nn.Linear(48, 3)

    def forward(self, x):
        return self.head(self.flat(x))
"""


BRANCH = HONEST.replace(
    "return self.head(self.flat(x))",
    "return self.head(self.flat(x)) + 9 * (x[:, :1, 0, 0] > 0.99) * x.new_tensor([0, 1, 0])",
)


def folder_with(folder: Path, code: str, *, extra: str = "") -> Path:
    """A model.toml whose weights are always the same."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 48, generator=generator)
    save_file({"head.weight": weight, "head.bias": torch.zeros(3)}, folder / "w.safetensors")
    (folder / "net.py").write_text(code)
    (folder / "model.toml").write_text(
        "[model]\nweights = 'w.safetensors'\narchitecture = 'net.py:Net'\n"
        f"[input]\nshape = [3, 4, 4]\n{extra}"
    )
    return folder / "model.toml"
