"""Networks that a file alone names are no larger than its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from undoor.errors import UndoorError
from undoor.load import load
from undoor.load.bounded import build_bounded
from undoor.networks import ResNet9


def state(network: nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    return {"": dict(network.state_dict())}


def write(folder: Path, architecture: str, arguments: str) -> Path:
    weights = {key: value.clone() for key, value in ResNet9(3, width=4).state_dict().items()}
    save_file(weights, folder / "w.safetensors")
    file = folder / "model.toml"
    file.write_text(
        f'[model]\nweights = "w.safetensors"\narchitecture = "{architecture}"\n'
        f"arguments = {arguments}\n[input]\nshape = [3, 32, 32]\n"
    )
    return file


def test_what_fits(tmp_path: Path) -> None:
    file = write(tmp_path, "undoor.networks:ResNet9", "{ num_classes = 3, width = 4 }")
    assert load(file).num_classes == 3


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("undoor.networks:ResNet9", "{ num_classes = 15000000000, width = 4 }"),
        ("undoor.networks:ResNet9", "{ num_classes = 3, width = 1000000 }"),
        ("timm:resnet18", "{ num_classes = 15000000000 }"),
    ],
)
def test_far_larger(tmp_path: Path, architecture: str, arguments: str) -> None:
    with pytest.raises(UndoorError, match=r"far larger than the .* numbers stored"):
        load(write(tmp_path, architecture, arguments))


def test_no_view_makes_a_file_larger() -> None:
    few = {"": {str(n): torch.zeros(1).expand(10**6) for n in range(9)}}
    with pytest.raises(UndoorError, match="than the 9 numbers stored in 9 tensors"):
        build_bounded(lambda: nn.Linear(10**4, 10**4), few)


def test_layers_without_number() -> None:
    built: list[nn.Module] = []

    def deep() -> nn.Module:
        while len(built) < 10_000:
            built.append(nn.Linear(1, 1))
        return nn.Sequential(*built)

    with pytest.raises(UndoorError, match="far larger"):
        build_bounded(deep, {"": {"weight": torch.zeros(10**6)}})
    assert len(built) < 2000


def test_what_cannot_be_built_without_memory() -> None:
    """As RegNet, whose widths are computed with tensors."""
    made = build_bounded(
        lambda: nn.Linear(int(torch.tensor([3]).tolist()[0]), 2), state(nn.Linear(3, 2))
    )
    assert made.weight.device.type == "cpu"
    with pytest.raises(UndoorError, match="far larger"):
        build_bounded(
            lambda: nn.Linear(int(torch.tensor([30_000_000]).tolist()[0]), 2),
            state(nn.Linear(3, 2)),
        )


def test_nothing_is_bounded_afterwards() -> None:
    with pytest.raises(UndoorError, match="far larger"):
        build_bounded(lambda: nn.Linear(10**4, 10**4), state(nn.Linear(3, 2)))
    network = nn.Sequential(*(nn.Linear(1, 1) for _ in range(3000)))
    assert network[0].weight.device.type == "cpu"
