"""Heads are found by what depends on what, however a network writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers import graph_work
from helpers.tiny import KINDS, assert_unchanged, random_classifier, snapshot
from undoor.classifier import Classifier
from undoor.sites import find_sites
from undoor.sites.heads import Head, find_heads, sites_before_heads

POOL = (nn.AdaptiveAvgPool2d(1), nn.Flatten())


def body(norm: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (3, 6, 6):
        layers += [nn.Conv2d(width, 6, 3, padding=1), *([nn.BatchNorm2d(6)] * norm), nn.ReLU()]
    return nn.Sequential(*layers)


class Apply(nn.Module):
    """A step of code instead of a module."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, z: Tensor) -> Tensor:
        if self.name == "scale":
            return 0.001 * z
        if self.name == "squash":
            return 5 * torch.tanh(z)
        return z.softmax(1).log()


class Mean(nn.Module):
    """Averages what several parts make of the same input."""

    def __init__(self, *parts: nn.Module, front: nn.Module | None = None) -> None:
        super().__init__()
        self.front = front or nn.Identity()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        x = self.front(x)
        return torch.stack([part(x) for part in self.parts]).mean(0)


class Tokens(nn.Module):
    """Maps every token [N, T, C], then reads their mean or the first."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.patches, self.hidden, self.out = (
            nn.Conv2d(3, 6, 2, 2),
            nn.Linear(6, 6),
            nn.Linear(6, 4),
        )
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        scores = self.out(self.hidden(tokens).relu() + tokens)
        return scores[:, 0] if self.first else scores.mean(1)


class TwoViews(nn.Module):
    """Averages the scores of an input and its mirror image."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        return self.out(h.relu()) + self.out((-h).relu())


def classifier(*layers: nn.Module, size: int = 6) -> Classifier:
    return Classifier(nn.Sequential(*layers), input_shape=(3, size, size))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# Which layers


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_layer_at_the_end(kind: str) -> None:
    network = random_classifier(kind)
    before = snapshot(network)
    (head,) = find_heads(network)
    last = [name for name, m in network.named_modules() if isinstance(m, nn.Linear)][-1]
    assert head.name == last
    assert head.weights is None
    assert_unchanged(network, before)


@pytest.mark.parametrize(
    ("layers", "name", "pooled"),
    [
        ((nn.Conv2d(6, 4, 1), *POOL), "network.1", True),
        ((POOL[0], nn.Conv2d(6, 4, 1), nn.Flatten()), "network.2", True),
        ((nn.Conv2d(6, 4, 6), nn.Flatten()), "network.1", False),
        ((nn.Conv2d(6, 4, 3), *POOL), "network.1", False),
        ((nn.Conv2d(6, 4, 1), nn.ReLU(), *POOL), "network.1", True),
        ((nn.Flatten(), nn.Linear(6 * 36, 4)), "network.2", False),
        ((*POOL, nn.Linear(6, 4), nn.LogSoftmax(1)), "network.3", False),
        ((*POOL, nn.Linear(6, 4), Apply("scale")), "network.3", False),
        ((*POOL, nn.Linear(6, 4), Apply("squash")), "network.3", False),
        ((*POOL, nn.Linear(6, 4), Apply("log of softmax")), "network.3", False),
        ((*POOL, nn.Linear(6, 4), nn.BatchNorm1d(4)), "network.3", False),
        ((*POOL, nn.Linear(6, 4), nn.Linear(4, 4)), "network.3", False),
        ((nn.Conv2d(6, 5, 1), *POOL, nn.Linear(5, 4)), "network.1", True),
        ((*POOL, nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)), "network.5", False),
    ],
)
def test_other_ways_to_write_one_head(
    layers: tuple[nn.Module, ...], name: str, pooled: bool
) -> None:
    """Most of them cost the latent families before; a layer behind the scores made them blind."""
    (head,) = find_heads(classifier(body(), *layers))
    assert head.name == name
    assert (head.weights is not None) is pooled


def test_heads_that_are_averaged() -> None:
    heads = nn.Linear(6, 4), nn.Linear(6, 4)
    front = nn.Sequential(body(), *POOL)
    names = ["parts.0", "parts.1"]
    assert [h.name for h in find_heads(classifier(Mean(*heads, front=front)))] == [
        f"network.0.{name}" for name in names
    ]
    behind = classifier(Mean(*heads, front=front), nn.Linear(4, 4))
    assert [h.name for h in find_heads(behind)] == [f"network.0.{name}" for name in names]


@pytest.mark.parametrize("last", [(), (nn.Softmax(1),)])
def test_networks_that_are_averaged(last: tuple[nn.Module, ...]) -> None:
    parts = [nn.Sequential(body(), *POOL, nn.Linear(6, 4), *last) for _ in range(3)]
    output = "probabilities" if last else "logits"
    network = Classifier(Mean(*parts), input_shape=(3, 6, 6), output=output)  # type: ignore[arg-type]
    names = [head.name for head in find_heads(network)]
    assert names == [f"network.parts.{index}.3" for index in range(3)]
    assert len(sites_before_heads(network)) == 9


@pytest.mark.parametrize(
    "network", [TwoViews(), nn.ReLU(), nn.Sequential(nn.Linear(5, 4), nn.GLU())]
)
def test_no_heads(network: nn.Module) -> None:
    """A layer that runs twice, no layer, and scores that are a product."""
    assert find_heads(Classifier(network, input_shape=(5,))) == ()
    assert sites_before_heads(Classifier(network, input_shape=(5,))) == ()


# What a head reads


@pytest.mark.parametrize("first", [False, True])
def test_positions_are_read_with_the_weights_that_the_scores_give_them(first: bool) -> None:
    (head,) = find_heads(Classifier(Tokens(first), input_shape=(3, 6, 6)))
    assert head.name == "network.out"
    assert head.weights is not None
    expected = torch.eye(9)[0] if first else torch.full((9,), 1 / 9)
    assert torch.allclose(head.weights, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("head", "shape", "features"),
    [
        (Head("a"), (2, 5), 5),
        (Head("a"), (2, 5, 3, 3), 45),
        (Head("a", torch.full((9,), 1 / 9), last=False), (2, 5, 3, 3), 5),
        (Head("a", torch.tensor([0.5, 0.5, 0.0]), last=True), (2, 3, 5), 5),
    ],
)
def test_a_spread_shift_moves_the_features_by_itself(
    head: Head, shape: tuple[int, ...], features: int
) -> None:
    z, shift = torch.randn(shape), torch.randn(2, features)
    moved = head.features(z + head.spread(shift, z))
    assert torch.allclose(moved, head.features(z) + shift, atol=1e-5)


# Sites in front of the heads


@pytest.mark.parametrize("kind", ["conv_norm", "conv", "mlp"])
def test_sites_of_ordinary_networks_are_those_of_find_sites(kind: str) -> None:
    network = random_classifier(kind)
    assert sites_before_heads(network) == find_sites(network)[1:]


def test_a_single_norm_does_not_hide_the_other_layers() -> None:
    network = classifier(nn.BatchNorm2d(3), body(norm=False), *POOL, nn.Linear(6, 4))
    assert [site.name for site in find_sites(network)[1:]] == ["network.0"]
    names = [site.name for site in sites_before_heads(network)]
    assert names == ["network.1.0", "network.1.2", "network.1.4"]


def test_nothing_behind_the_head_is_a_site_in_front_of_it() -> None:
    network = classifier(body(), *POOL, nn.Linear(6, 4), nn.BatchNorm1d(4))
    assert "network.4" in [site.name for site in find_sites(network)]
    assert len(sites_before_heads(network)) == 3


# Graphs of files


def test_a_convolution_as_head_of_an_exported_graph(tmp_path: Path) -> None:
    layers = nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1)
    file = graph_work.pt2(nn.Sequential(*layers, *POOL).eval(), tmp_path / "net.pt2")
    (head,) = find_heads(undoor.load(file))
    assert head.name.rpartition(".")[2] == "2"
    assert head.weights is not None
