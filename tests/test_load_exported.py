"""Archives of torch.export."""

from __future__ import annotations

from pathlib import Path

import graph_work as work
import pytest
import torch
from made_repairs import make_repair
from tiny import random_classifier
from torch import Tensor, nn

import undoor
from undoor.errors import UndoorError
from undoor.load.exported import read


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_fixed_batch_becomes_free(tmp_path: Path, batch: int) -> None:
    network = work.Mixed().eval()
    found = read(work.pt2(network, tmp_path / "m.pt2", batch=batch))
    assert found.input_shape == work.SHAPE
    for count in (1, 2, 7):
        x = torch.rand(count, *work.SHAPE)
        torch.testing.assert_close(found.network(x), network(x))


def test_a_batch_that_cannot_be_freed(tmp_path: Path) -> None:
    class Ranked(nn.Module):
        """Knows by heart how many inputs there are."""

        def __init__(self) -> None:
            super().__init__()
            self.each = nn.Parameter(torch.rand(3, 1))
            self.out = nn.Linear(64, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(x.flatten(1)) + self.each

    with pytest.raises(UndoorError, match=r"batches of exactly 3.*dynamic_shapes"):
        read(work.pt2(Ranked(), tmp_path / "m.pt2", batch=3))


def test_a_guarded_model_is_refused(tmp_path: Path) -> None:
    model = random_classifier("mlp_norm")
    file = undoor.export(model, make_repair(model), tmp_path / "g.pt2").file
    with pytest.raises(UndoorError, match=r"guarded model.*give the original"):
        undoor.load(file)


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return (x + y).flatten(1)

    program = torch.export.export(Two(), (torch.rand(2, 1, 2, 2), torch.rand(2, 1, 2, 2)))
    torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(UndoorError, match="takes 2 inputs"):
        read(tmp_path / "m.pt2")
