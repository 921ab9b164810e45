"""The networks of the bench."""

from __future__ import annotations

import pytest
import torch

from undoor.classifier import Classifier
from undoor.networks import NETWORKS, ResNet9
from undoor.sites import find_sites


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_shapes_and_size(name: str, channels: int, side: int) -> None:
    network = NETWORKS[name](num_classes=7, channels=channels)
    with torch.no_grad():
        assert network.eval()(torch.rand(2, channels, side, side)).shape == (2, 7)
    # As float16 in a repository: less than a megabyte.
    assert 2 * sum(value.numel() for value in network.state_dict().values()) < 1_000_000


@pytest.mark.parametrize("name", NETWORKS)
def test_has_sites_to_correct(name: str) -> None:
    classifier = Classifier(NETWORKS[name](num_classes=5), input_shape=(3, 32, 32))
    assert len(find_sites(classifier)) > 3


def test_pools_of_the_residual_network() -> None:
    """What the head gets is the largest or the mean of all positions, with the same weights."""
    torch.manual_seed(0)
    usual, average = ResNet9(num_classes=4).eval(), ResNet9(num_classes=4, pool="average").eval()
    average.load_state_dict(usual.state_dict())
    seen: list[torch.Tensor] = []
    for network in (usual, average):
        network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network.residual2.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0] + out))
    with torch.no_grad():
        for network in (usual, average):
            network(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    maps, largest, same_maps, mean = seen
    assert torch.equal(maps, same_maps)
    assert torch.equal(largest, maps.amax((2, 3)))
    assert torch.allclose(mean, maps.mean((2, 3)))
    with pytest.raises(ValueError, match="pool must be one of max, average, got 'sum'"):
        ResNet9(num_classes=4, pool="sum")


def test_the_average_pooled_network_has_sites_to_correct() -> None:
    classifier = Classifier(ResNet9(num_classes=5, pool="average"), input_shape=(3, 32, 32))
    assert len(find_sites(classifier)) > 3
