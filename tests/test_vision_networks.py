"""Vision transformers and ConvNeXts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.sites import find_sites, network_kind
from undoor.vision_networks import ConvNeXt, ViT
from undoor.vocabulary import CONVOLUTIONAL, TRANSFORMER


@pytest.mark.parametrize(
    ("network", "kind"),
    [(ViT(num_classes=7, channels=1, side=28), TRANSFORMER), (ConvNeXt(7, 1), CONVOLUTIONAL)],
    ids=["ViT", "ConvNeXt"],
)
def test_shapes_size_kind_and_sites(network: nn.Module, kind: str) -> None:
    with torch.no_grad():
        assert network.eval()(torch.rand(2, 1, 28, 28)).shape == (2, 7)
    # As float16 in a repository: less than half a megabyte.
    assert 2 * sum(value.numel() for value in network.state_dict().values()) < 500_000
    classifier = Classifier(network, input_shape=(1, 28, 28))
    assert network_kind(classifier) == kind
    assert len(find_sites(classifier)) > 3


def test_a_vision_transformer_sees_where_a_token_is() -> None:
    torch.manual_seed(0)
    network = ViT(num_classes=3, channels=1, side=8).eval()
    corner, opposite = torch.zeros(2, 1, 1, 8, 8).unbind()
    corner[..., :4, :4] = opposite[..., 4:, 4:] = 1.0
    assert not torch.allclose(network(corner), network(opposite))
    with torch.no_grad():
        network.positions[:, 1:] = 0.0
    assert torch.allclose(network(corner), network(opposite), atol=1e-5)


def test_a_side_that_no_patch_divides() -> None:
    with pytest.raises(ValueError, match=r"side must be a multiple of patch \(5\), got 28"):
        ViT(num_classes=3, side=28, patch=5)


def test_each_position_of_a_convnext_is_normed_by_itself() -> None:
    torch.manual_seed(0)
    norm = ConvNeXt(num_classes=3).stages[1]
    z = norm(5.0 + 3.0 * torch.randn(2, 24, 4, 4))
    assert torch.allclose(z.mean(1), torch.zeros(2, 4, 4), atol=1e-5)
    assert torch.allclose(z.var(1, correction=0), torch.ones(2, 4, 4), atol=1e-3)
