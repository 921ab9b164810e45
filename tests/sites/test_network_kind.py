"""Which networks count as convolutional."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from helpers.tiny import random_classifier
from undoor.classifier import Classifier
from undoor.networks import NETWORKS
from undoor.sites import network_kind
from undoor.vocabulary import CONVOLUTIONAL, OPAQUE, OTHER_KIND, TRANSFORMER


class Tokens(nn.Module):
    """A transformer: one convolution cuts the image into patches, layer norms see tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_calibration(name: str) -> None:
    network = NETWORKS[name](num_classes=10, channels=1)
    assert network_kind(Classifier(network, input_shape=(1, 28, 28))) == CONVOLUTIONAL


def test_others() -> None:
    torch.manual_seed(0)
    assert network_kind(Classifier(Tokens(), input_shape=(3, 32, 32))) == TRANSFORMER
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 5))
    assert network_kind(Classifier(flat, input_shape=(3, 8, 8))) == OTHER_KIND
    assert network_kind(random_classifier("mlp_norm")) == OTHER_KIND
    script = torch.jit.script(NETWORKS["PlainCNN"](num_classes=5).eval())
    assert network_kind(Classifier(script, input_shape=(3, 32, 32))) == OPAQUE
