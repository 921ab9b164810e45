"""Archives of torch.export."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers import graph_work as work
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.errors import UndoorError
from undoor.load import exported
from undoor.load.exported import read
from undoor.load.layers import with_layers


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


class Anywhere(nn.Module):
    """Takes images of any size; kind : how it gives its scores."""

    def __init__(self, kind: type = Tensor) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.out = nn.Linear(4, 5)
        self.kind = kind

    def forward(self, x: Tensor) -> object:
        scores = self.out(self.body(x).mean((2, 3)))
        wrapped: dict[type, object] = {tuple: (scores,), dict: {"logits": scores}}
        return wrapped.get(self.kind, scores)


def test_open_sides_need_a_shape(tmp_path: Path) -> None:
    network, file = Anywhere().eval(), tmp_path / "m.pt2"
    sides = {number: torch.export.Dim(f"d{number}", min=4) for number in (2, 3)}
    shapes = ({0: torch.export.Dim("batch", min=1), **sides},)
    torch.export.save(
        torch.export.export(network, (torch.rand(2, 1, 8, 8),), dynamic_shapes=shapes), file
    )
    with pytest.raises(UndoorError, match="shape is missing"):
        undoor.load(file)
    x = torch.rand(3, 1, 6, 9)
    torch.testing.assert_close(undoor.load(file, input_shape=(1, 6, 9))(x), network(x))


@pytest.mark.parametrize("kind", [tuple, dict])
@pytest.mark.parametrize("batch", [None, 2])
def test_scores_may_be_wrapped(tmp_path: Path, kind: type, batch: int | None) -> None:
    classifier = undoor.load(work.pt2(Anywhere(kind).eval(), tmp_path / "m.pt2", batch=batch))
    x = torch.rand(3, *work.SHAPE)
    torch.testing.assert_close(classifier(x), Anywhere().eval()(x))


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_layers_are_held_to_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int | None
) -> None:
    file = work.pt2(Anywhere().eval(), tmp_path / "m.pt2", batch=batch)

    def slightly_off(program: torch.fx.GraphModule) -> torch.fx.GraphModule:
        made = with_layers(program)
        out = made.get_submodule("out")
        out.bias = nn.Parameter(out.get_parameter("bias") + 0.01)
        return made

    undoor.load(file)
    monkeypatch.setattr(exported, "with_layers", slightly_off)
    with pytest.raises(UndoorError, match=r"returns scores that differ by 0.01.*state dict"):
        undoor.load(file)


def test_another_shape_than_it_was_exported_for(tmp_path: Path) -> None:
    file = work.pt2(work.toy(), tmp_path / "m.pt2")
    with pytest.raises(UndoorError, match=r"inputs of shape \(1, 9, 9\).*exported for"):
        undoor.load(file, input_shape=(1, 9, 9))


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
