"""Inversion of ten tokens, by DBS."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.tiny_texts import tiny_classifier, tiny_texts
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.triggers.insertion import inserted
from undoor_bench.detect.dbs import Inverted, Settings, called, dbs

SETTINGS = Settings(tokens=3, epochs=80)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_planted_word_is_found_and_works() -> None:
    classifier, clean = tiny_classifier(("cf",)), tiny_texts(60)
    found = dbs(classifier, clean, SETTINGS, generator=seeded())
    assert [(each.target, each.place) for each in found] == [
        (0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)
    ]  # fmt: skip
    assert called(found, SETTINGS) == 1
    best = min(found, key=lambda each: each.loss)
    tokenizer = classifier.tokenizer
    assert tokenizer is not None
    assert "cf" in tokenizer.words(best.tokens)
    others = clean.images[clean.labels != best.target]
    tokens = torch.tensor(best.tokens).float()[None]
    x = inserted(others, tokens, best.place, tokenizer.pad_id or 0, tokenizer.around)[0]
    out = classifier.logits(x)
    assert bool((out.argmax(1) == 1).all())
    loss = nn.functional.cross_entropy(out, torch.ones(len(out), dtype=torch.long))
    assert float(loss) < best.loss + 1e-3


def test_words_that_mean_little_leave_a_loss() -> None:
    """The clean network sums up words, each of them one logit, so that three are not enough."""
    found = dbs(tiny_classifier(), tiny_texts(60), SETTINGS, generator=seeded())
    assert called(found, SETTINGS) is None


def test_the_lowest_loss_below_the_threshold_names_the_class() -> None:
    found = tuple(Inverted(k, 0.0, loss, (1,)) for k, loss in enumerate((0.1, 5e-4, 9e-4)))
    assert called(found) == 1
    assert called(found[:1]) is None


def test_what_has_no_tokens_is_refused() -> None:
    flat = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), input_shape=(1, 2, 2))
    clean = CleanSet(torch.rand(8, 1, 2, 2), torch.arange(8) % 2)
    with pytest.raises(UndoorError, match="expected a model of texts"):
        dbs(flat, clean, generator=seeded())
