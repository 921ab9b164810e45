"""Networks whose images have their channels last."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import undoor
from undoor.errors import UndoorError
from undoor.load.channels_last import stands_last
from undoor.sites import find_sites


class First(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Last(First):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 3, 1, 2))


def saved(folder: Path) -> Path:
    torch.save(First().state_dict(), folder / "w.pt")
    return folder / "w.pt"


def onnx(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Last().eval(), (torch.rand(2, 8, 9, 3),), folder / "m.onnx", dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    return folder / "m.onnx"


@pytest.mark.parametrize("kind", ["state dict", "ONNX", "ONNX by the other shape"])
def test_channels_last(tmp_path: Path, kind: str) -> None:
    if kind == "state dict":
        model = undoor.load(
            saved(tmp_path), architecture=Last, input_shape=(8, 9, 3), mean=(0.1, 0.2, 0.3)
        )
    else:
        given = (3, 8, 9) if "other" in kind else None
        model = undoor.load(onnx(tmp_path), mean=(0.1, 0.2, 0.3), input_shape=given)
    assert model.input_shape == (3, 8, 9)
    assert model.resizing is not None
    x = torch.rand(4, 3, 8, 9)
    expected = First()(x - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1))
    assert torch.allclose(model(x), expected, atol=1e-5)
    assert find_sites(model)


def test_a_shape_in_the_wrong_order(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"channels are last .*input_shape = \[3, 8, 9\]"):
        undoor.load(saved(tmp_path), architecture=First, input_shape=(8, 9, 3))


@pytest.mark.parametrize("shape", [(3, 8, 8), (64, 4, 4), (12,), (8, 8, 2), (1, 28, 28), (4, 4, 3)])
def test_other_shapes(shape: tuple[int, ...]) -> None:
    assert not stands_last(shape)
