"""The networks of the bench."""

from __future__ import annotations

import pytest
import torch

from undoor.classifier import Classifier
from undoor.networks import NETWORKS
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
