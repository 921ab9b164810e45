"""Lazy layers, and other layers in parts, with checkpoints that are whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import undoor
from undoor.errors import UndoorError
from undoor.load.lazy_layers import materialise

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


class Net(nn.Module):
    def __init__(self, norm: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv = nn.LazyConv2d(4, 3)
        self.norm = norm()
        self.fc = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.conv(x)).relu().flatten(1))


def lazy() -> nn.Module:
    return Net(nn.LazyBatchNorm2d)


def part_lazy() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(3))


def old_weight_norm() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 3, 6), nn.Flatten())
    nn.utils.weight_norm(network[0])
    return network


def pruned() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 3, 6), nn.Flatten())
    prune.l1_unstructured(network[0], "weight", 0.4)
    return network


@pytest.mark.parametrize("make", [lazy, part_lazy, old_weight_norm, pruned])
@pytest.mark.parametrize("finished", [True, False])
def test_opens_with_its_checkpoint(
    tmp_path: Path, make: Callable[[], nn.Module], finished: bool
) -> None:
    torch.manual_seed(0)
    trained, x = make(), torch.rand(2, 3, 6, 6)
    trained(x)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    architecture = make() if finished else make
    before = torch.random.get_rng_state()
    classifier = undoor.load(tmp_path / "w.pt", architecture=architecture, input_shape=(3, 6, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.allclose(classifier(x), trained.eval()(x), atol=1e-6)


def test_what_does_not_fit(tmp_path: Path) -> None:
    trained = lazy()
    trained(torch.rand(2, 3, 6, 6))
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    with pytest.raises(UndoorError, match=r"does not fit lazy: .*another shape"):
        undoor.load(tmp_path / "w.pt", architecture=lazy, input_shape=(3, 9, 9))
    with pytest.raises(UndoorError, match=r"lazy layers and failed on .*\(1, 3, 2, 2\)"):
        undoor.load(tmp_path / "w.pt", architecture=lazy, input_shape=(3, 2, 2))


def test_others_are_not_run() -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("run")

    materialise(Never(), (3, 6, 6))
