"""What a network is made of, and what about it misleads."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.inspect.network import NetworkFacts, inspect_network


class Odd(nn.Module):
    """Each kind of trouble, one at a time."""

    def __init__(self, trouble: str) -> None:
        super().__init__()
        self.trouble = trouble
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3, track_running_stats=trouble != "batch")
        self.relu = nn.ReLU()
        self.fc = nn.Linear(3, 2)
        if trouble == "unused":
            self.spare = nn.Linear(2, 2)

    def train(self, mode: bool = True) -> Odd:
        super().train(mode)
        if self.trouble == "training":
            self.relu.training = True
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.conv(x)))
        if self.trouble == "reused":
            x = self.relu(self.conv(x))
        if self.trouble == "random":
            x = F.dropout(x, 0.5, training=True)
        return self.fc(x.mean((2, 3)))


def facts(trouble: str) -> NetworkFacts:
    torch.manual_seed(0)
    return inspect_network(Classifier(Odd(trouble), input_shape=(3, 6, 6)))


def test_no_trouble() -> None:
    found = facts("none")
    assert (found.name, found.parameters, found.warnings) == ("Odd", 84 + 6 + 8, ())
    assert found.layers == {"Conv2d": 1, "BatchNorm2d": 1, "ReLU": 1, "Linear": 1}
    assert [site.name for site in found.sites] == ["entry", "network.norm"]
    # What has no numbers of its own may well run twice.
    assert facts("reused").reused == ("conv",)


def codes(found: NetworkFacts) -> set[str]:
    of_the_graph = {item.code for item in found.scrutiny.graph}
    return of_the_graph | {item.code for item in found.scrutiny.disagreements}


def test_troubles() -> None:
    assert codes(facts("random")) == {"random", "repeat"}
    # What its layer computes depends on the batch, and so do its predictions.
    assert codes(facts("batch")) == {"batch", "batch_size"}
    assert len(facts("batch").warnings) == 2
    assert codes(facts("training")) == {"training"}
    assert "relu" in facts("training").warnings[0]
    assert facts("unused").unused == ("spare",)
    for trouble in ("training", "unused", "reused"):
        assert len(facts(trouble).warnings) == 1


def test_what_is_odd_stands_in_the_document() -> None:
    found = facts("random").to_json()
    (odd,) = found["graph"]
    assert (odd["code"], odd["count"]) == ("random", 1)
    assert "test_network.py:" in odd["where"]
    assert odd["sentence"] in found["warnings"]
    assert [item["code"] for item in found["disagreements"]] == ["repeat"]


def test_a_network_of_one_module() -> None:
    found = inspect_network(Classifier(nn.Linear(3, 2), input_shape=(3,)))
    assert found.layers == {"Linear": 1}
    assert found.unused == ()
