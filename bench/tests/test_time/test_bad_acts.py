"""The score of BadActs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.tiny_texts import WORDS, tiny_classifier, tiny_texts
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor_bench.test_time.bad_acts import Settings, neuron_activation_state


class FirstToken(nn.Module):
    """Two neurons of the first token, behind a norm that does nothing: its id, and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), 2)
        ids = torch.arange(len(WORDS)).float()
        self.embedding.weight.data = torch.stack([ids, ids % 2], 1)
        self.norm = nn.BatchNorm1d(2, eps=0.0, affine=False)
        self.head = nn.Linear(2, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.embedding(ids).transpose(1, 2))[:, :, 0])


def test_it_is_the_share_of_neurons_that_are_far_from_their_mean() -> None:
    classifier = Classifier(FirstToken().eval(), tokenizer=tiny_classifier().tokenizer)
    clean = tiny_texts(60)
    first = clean.images[:, 0]
    found = neuron_activation_state(classifier, clean, torch.Generator(), Settings(delta=1.0))
    x = clean.images[:1].repeat(len(WORDS), 1)
    x[:, 0] = torch.arange(len(WORDS))
    neurons = torch.stack([x[:, 0], x[:, 0] % 2], 1)
    usual = torch.stack([first, first % 2], 1)
    away = (neurons - usual.mean(0)).abs() > usual.std(0, unbiased=False)
    assert torch.equal(found(x), away.double().mean(1))
    assert 0 < float(found(x).mean()) < 1
    # A score of one text is that of the text among others.
    assert torch.equal(found(x[3:4]), found(x)[3:4])


def test_without_hidden_layers_it_is_refused() -> None:
    flat = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), input_shape=(1, 2, 2))
    from undoor.clean_set import CleanSet

    clean = CleanSet(torch.rand(8, 1, 2, 2), torch.arange(8) % 2)
    with pytest.raises(UndoorError, match="hidden layers"):
        neuron_activation_state(flat, clean, torch.Generator())
