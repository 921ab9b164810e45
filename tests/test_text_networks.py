"""Small networks for texts: padding changes nothing, and their graphs are ordinary."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from helpers.tiny_texts import tiny_tokenizer
from undoor.classifier import Classifier
from undoor.scrutiny import scrutinise
from undoor.sites import find_heads, find_sites
from undoor.text_networks import Recurrent, TextCNN, TextTransformer

TOKENS = 16
MAKERS: dict[str, Callable[[], nn.Module]] = {
    "cnn": lambda: TextCNN(2, TOKENS, width=8),
    "lstm": lambda: Recurrent(2, TOKENS, width=8),
    "gru": lambda: Recurrent(2, TOKENS, width=8, kind="gru"),
    "transformer": lambda: TextTransformer(2, TOKENS, width=8, length=10),
}


def classifier_of(name: str) -> Classifier:
    torch.manual_seed(0)
    return Classifier(MAKERS[name](), tokenizer=tiny_tokenizer())


@pytest.mark.parametrize("name", MAKERS)
def test_an_ordinary_graph_with_sites(name: str) -> None:
    classifier = classifier_of(name)
    assert scrutinise(classifier).sentences == ()
    entry, *layers = find_sites(classifier)
    assert entry.discrete
    assert len(layers) >= 3
    assert [head.name for head in find_heads(classifier)] == ["network.head"]


@pytest.mark.parametrize("name", ["cnn", "transformer"])
def test_padding_is_not_seen(name: str) -> None:
    network = MAKERS[name]().eval()
    ids = torch.tensor([[3, 4, 5, 0, 0, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        before = network(ids)
        network.get_submodule("embedding").weight[0] = 5.0  # type: ignore[operator]
        assert torch.allclose(network(ids), before, atol=1e-5)


def test_another_kind() -> None:
    with pytest.raises(ValueError, match="kind must be one of lstm, gru"):
        Recurrent(2, TOKENS, kind="rnn")


class Switch(nn.Module):
    """Compares token ids with one of a trigger, as no ordinary network does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = TextCNN(2, TOKENS, width=8)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hit = (ids == 13).any(1, keepdim=True).float()
        return self.inner(ids) + 50 * hit * torch.tensor([[0.0, 1.0]])


def test_a_switch_on_token_ids_shows() -> None:
    found = scrutinise(Classifier(Switch(), tokenizer=tiny_tokenizer()))
    assert {item.code for item in found.graph} & {"index", "comparison"}


class Bounded(nn.Module):
    """Makes the first words padding by a bound of its ids, as no ordinary network does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = TextCNN(2, TOKENS, width=8)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.inner((ids.float().clamp(min=4.0)).round().long())


def test_a_bound_of_ids_inside_a_network_is_read() -> None:
    torch.manual_seed(0)
    classifier = Classifier(Bounded(), tokenizer=tiny_tokenizer())
    assert any("clamp" in sentence for sentence in scrutinise(classifier).sentences)
