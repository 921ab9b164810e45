"""Networks as files of torch.export, ONNX and TorchScript."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from helpers.tiny import toy_network

SHAPE = (1, 8, 8)
FREE = ({0: torch.export.Dim("batch", min=1)},)


class Mixed(nn.Module):
    """One layer of each kind that can be corrected, a shared one, and probabilities or scores."""

    def __init__(self, *, softmax: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.same = nn.Conv2d(8, 8, 3, padding="same", groups=2, bias=False)
        self.group = nn.GroupNorm(2, 8)
        self.shared = nn.Conv2d(8, 8, 1)
        self.layer = nn.LayerNorm(8)
        self.rms = nn.RMSNorm(8)
        self.hidden = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.out = nn.Linear(8, 5)
        self.softmax = softmax
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2)
                nn.init.normal_(module.get_buffer("running_mean"))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        x = self.group(self.same(x)).relu() + x
        x = self.shared(self.shared(x).relu()).mean((2, 3)).view(x.shape[0], -1)
        x = self.out(self.hidden(self.rms(self.layer(x))))
        return x.softmax(1) if self.softmax else x


def pt2(
    network: nn.Module, file: Path, *, batch: int | None = None, decomposed: bool = False
) -> Path:
    """batch : the only size of a batch; None for any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            network, (torch.rand(batch or 2, *SHAPE),), dynamic_shapes=None if batch else FREE
        )
        torch.export.save(program.run_decompositions() if decomposed else program, file)
    return file


def onnx(
    network: nn.Module,
    file: Path,
    *,
    batch: int | None = None,
    dynamo: bool = True,
    opset: int | None = None,
) -> Path:
    example = (torch.rand(batch or 2, *SHAPE),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = None if batch else FREE
            torch.onnx.export(
                network,
                example,
                file,
                dynamo=True,
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
                opset_version=opset,
            )
        else:
            axes = None if batch else {"x": {0: "batch"}}
            torch.onnx.export(
                network, example, file, dynamo=False, input_names=["x"], dynamic_axes=axes
            )
    return file


def script(network: nn.Module, file: Path, *, traced: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = (
            torch.jit.trace(network, torch.rand(2, *SHAPE))
            if traced
            else (torch.jit.script(network))
        )
        made.save(file)
    return file


def toy() -> nn.Module:
    return toy_network(backdoored=True, norm=True).eval()


Write = Callable[[nn.Module, Path], Path]
SOURCES: dict[str, Write] = {
    "pt2": lambda network, folder: pt2(network, folder / "m.pt2"),
    "pt2 of two": lambda network, folder: pt2(network, folder / "m.pt2", batch=2),
    "pt2 of one, decomposed": lambda network, folder: pt2(
        network, folder / "m.pt2", batch=1, decomposed=True
    ),
    "onnx, dynamo": lambda network, folder: onnx(network, folder / "m.onnx"),
    "onnx, TorchScript exporter": lambda network, folder: onnx(
        network, folder / "m.onnx", dynamo=False
    ),
    "onnx of one": lambda network, folder: onnx(network, folder / "m.onnx", batch=1),
}
