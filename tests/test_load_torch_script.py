"""TorchScript archives: what they may name."""

from __future__ import annotations

from pathlib import Path

import graph_work as work
import pytest
import torch
from torch import Tensor, nn

import undoor
from undoor.errors import UndoorError
from undoor.load.check import examine
from undoor.load.torch_script import read


@pytest.mark.parametrize("traced", [False, True])
def test_same_answers(tmp_path: Path, traced: bool) -> None:
    network = work.Mixed(softmax=True).eval()
    file = work.script(network, tmp_path / "m.pt", traced=traced)
    assert examine(file).breaches == ()
    x = torch.rand(4, *work.SHAPE)
    torch.testing.assert_close(read(file).network(x), network(x))


class ReadsAFile(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) + torch.from_file("/etc/hostname", False, 1).sum()


class WritesAFile(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "stolen.pt")
        return x.flatten(1)


@pytest.mark.parametrize("network", [ReadsAFile(), WritesAFile()])
def test_operators_that_reach_files_are_refused(tmp_path: Path, network: nn.Module) -> None:
    file = work.script(network, tmp_path / "m.pt")
    assert examine(file).breaches
    with pytest.raises(UndoorError, match=r"its code names torch\.(from_file|save)"):
        undoor.load(file, input_shape=work.SHAPE)
    assert not undoor.inspect(file).safe
