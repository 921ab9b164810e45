"""TorchScript archives: what they may name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers import graph_work as work
from helpers.hostile import graphs
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


@pytest.mark.parametrize("name", graphs.scripts("true"))
def test_no_other_spelling_reaches_files(tmp_path: Path, name: str) -> None:
    canary, file = tmp_path / "canary", tmp_path / name
    file.write_bytes(graphs.scripts(f"touch {canary}")[name])
    with pytest.raises(UndoorError, match=r"its code names torch\.save"):
        undoor.load(file, input_shape=graphs.SHAPE)
    assert not canary.exists()
    if name != "script_comment.pt":
        torch.jit.load(file)(torch.rand(2, *graphs.SHAPE))
        assert canary.exists(), "the payload is dead: this test would pass without a screen"


@pytest.mark.parametrize(
    "line",
    [
        "    t = torch",
        "    o = ops",
        "    o = ops.aten",
        "    y = ops.quantized.linear",
        "    y = ops.evil.run(x)",
        "    y : __torch__.torch.classes.evil.Thing = x",
        "    y : __torch__.torch . classes.evil.Thing = x",
    ],
)
def test_code_that_torch_does_not_write(tmp_path: Path, line: str) -> None:
    file = tmp_path / "m.pt"
    file.write_bytes(graphs.said(line))
    assert examine(file).breaches


def replaced(new: bytes, _old: bytes) -> bytes:
    return new


def test_pickled_classes_of_native_libraries(tmp_path: Path) -> None:
    file = tmp_path / "m.pt"
    for name in (b"__torch__.torch.classes.evil\nThing\n", b"__torch__.torch\nclasses.evil\n"):
        data = graphs.rewritten(graphs.script(), "/data.pkl", partial(replaced, name))
        file.write_bytes(data)
        assert "native library" in examine(file).breaches[0].why


class Attention(nn.Module):
    """An operator with an argument `path`, which is none of a file."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 5)])

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum("bchw,bcvw->bhv", x, x).mean(1)
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.mark.parametrize("traced", [False, True])
def test_paths_that_are_none(tmp_path: Path, traced: bool) -> None:
    file = work.script(Attention().eval(), tmp_path / "m.pt", traced=traced)
    assert examine(file).breaches == ()
