from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from undoor.align.fold import fold, without_bounds
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.sites import Site, attach, find_sites


@pytest.fixture
def network() -> Classifier:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3),
        nn.BatchNorm2d(5, affine=False), nn.Flatten(), nn.Linear(80, 3),
    )  # fmt: skip
    layers.train()(torch.rand(32, 3, 8, 8))
    return Classifier(layers, input_shape=(3, 8, 8))


def correction(*shape: int, bounded: bool = False) -> Correction:
    low = torch.full(shape, -0.1 if bounded else -torch.inf)
    return Correction(torch.rand(shape) + 0.5, torch.randn(shape), low, -low)


def test_affine_corrections_vanish_into_the_norms(network: Classifier) -> None:
    corrections = {"network.1": correction(4, 1, 1), "network.4": correction(5, 1, 1)}
    x = torch.rand(6, 3, 8, 8)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold(network, corrections)
    assert not any(isinstance(module, Site) for module in folded.modules())
    torch.testing.assert_close(folded(x), attach(network, corrections)(x))
    assert not torch.allclose(folded(x), network(x))
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


def mixing() -> Correction:
    free = correction(4, 1, 1)
    return Correction(**free.parts, down=torch.randn(2, 4), up=torch.randn(4, 2))


@pytest.mark.parametrize("kept", [correction(4, 1, 1, bounded=True), correction(4, 6, 6), mixing()])
def test_what_would_change_outputs_stays_a_site(network: Classifier, kept: Correction) -> None:
    x = torch.rand(6, 3, 8, 8)
    folded = fold(network, {"network.1": kept, "network.4": correction(5, 1, 1)})
    assert [name for name, m in folded.named_modules() if isinstance(m, Site)] == ["network.1"]
    assert torch.isfinite(folded(x)).all()


def test_without_bounds_keeps_the_affine_part() -> None:
    bounded = correction(4, 1, 1, bounded=True)
    free = without_bounds({"a": bounded})["a"]
    z = torch.randn(3, 4, 2, 2) * 10
    torch.testing.assert_close(free(z), z * bounded.scale + bounded.shift)
    together = mixing()
    assert without_bounds({"a": together})["a"].parts.keys() == together.parts.keys()
    torch.testing.assert_close(without_bounds({"a": together})["a"](z), together(z))


class FrozenBatchNorm2d(nn.Module):
    """As torchvision has it: weights that are buffers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "running_var"):
            self.register_buffer(name, torch.rand(channels) + 0.5)
        for name in ("bias", "running_mean"):
            self.register_buffer(name, torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias, mean, var = (
            getattr(self, name)[:, None, None]
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) * (var + 1e-5).rsqrt() * weight + bias


class FrozenBatchNormAct2d(FrozenBatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class NormAct(nn.BatchNorm2d):
    """As timm's BatchNormAct2d: an activation of its own behind the norm."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


def with_norm(norm: nn.Module) -> Classifier:
    torch.manual_seed(1)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    return Classifier(layers, input_shape=(3, 8, 8))


@pytest.mark.parametrize(
    ("norm", "folds"),
    [
        (nn.SyncBatchNorm(4), True),
        (nn.InstanceNorm2d(4, affine=True), True),
        (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), True),
        (nn.InstanceNorm2d(4), True),
        (FrozenBatchNorm2d(4), True),
        (FrozenBatchNormAct2d(4), False),
        (NormAct(4), False),
        (nn.GroupNorm(2, 4), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_norms(norm: nn.Module, folds: bool) -> None:
    """Each is a site; what an activation of its own follows is no norm to fold into."""
    classifier = with_norm(norm)
    assert [site.name for site in find_sites(classifier)[1:]] == ["network.1"]
    x = torch.rand(6, 3, 8, 8)
    corrections = {"network.1": correction(4, 1, 1)}
    folded = fold(classifier, corrections)
    assert any(isinstance(module, Site) for module in folded.modules()) != folds
    torch.testing.assert_close(folded(x), attach(classifier, corrections)(x), rtol=1e-5, atol=1e-5)


def test_folded_norms_keep_their_keys() -> None:
    for norm in (nn.SyncBatchNorm(4), FrozenBatchNorm2d(4), nn.InstanceNorm2d(4, affine=True)):
        classifier = with_norm(norm)
        folded = fold(classifier, {"network.1": correction(4, 1, 1)})
        assert folded.state_dict().keys() == classifier.state_dict().keys()
