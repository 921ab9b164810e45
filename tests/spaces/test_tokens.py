"""Texts as token ids: examples, bounds and messages."""

from __future__ import annotations

import pytest
import torch

from helpers.tiny_texts import Sentiment, tiny_classifier, tiny_tokenizer
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.spaces.registry import space_of
from undoor.spaces.tokens import TOKENS


def test_examples_are_ids() -> None:
    x = tiny_classifier().examples(20)
    assert torch.equal(x, x.round())
    assert (float(x.min()), float(x.max())) == (0.0, 15.0)


def test_the_space_must_be_named() -> None:
    assert space_of((10,)) is not TOKENS
    classifier = tiny_classifier()
    assert classifier.space is TOKENS
    assert (classifier.input_shape, classifier.bounds) == ((10,), (0.0, 15.0))
    with pytest.raises(UndoorError, match="expected a tokenizer of the space"):
        Classifier(Sentiment(), input_shape=(10,), space="tokens")
    with pytest.raises(UndoorError, match="of the space 'tokens' and of no other"):
        Classifier(Sentiment(), tokenizer=tiny_tokenizer(), space="vectors")
    with pytest.raises(UndoorError, match=r"expected input_shape \(10,\) and bounds"):
        Classifier(Sentiment(), tokenizer=tiny_tokenizer(), input_shape=(9,))
    with pytest.raises(UndoorError, match="expected input_shape, such as"):
        Classifier(Sentiment())


def test_files_hold_words_not_bytes() -> None:
    x = torch.tensor([[1.0, 14.0]])
    assert torch.equal(TOKENS.quantised(x, (0.0, 15.0)), x)


def test_misfits_name_the_space() -> None:
    assert "the data look like images" in TOKENS.misfit((3, 8, 8), (10,))
    assert "classifier.tokenizer.ids" in TOKENS.misfit((9,), (10,))
