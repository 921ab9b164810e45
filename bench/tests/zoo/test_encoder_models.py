"""Classifiers on a pretrained encoder: upper blocks trained on what the lower ones return."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
import torch
from pyarrow import parquet

import undoor
from helpers.tiny_texts import WORDS, tiny_sentences, tiny_tokenizer
from undoor.errors import UndoorError
from undoor.load.hub import from_library
from undoor_bench.zoo.encoder_models import EncoderModel, rare_words, train_encoder_model
from undoor_bench.zoo.subjects import subjects

BertConfig, BertModel = from_library(
    "transformers", "BertConfig", "BertModel", extra="transformers"
)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """An encoder of three blocks, as a package holds it."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    BertModel(config).save_pretrained(tmp_path / "encoder")
    (tmp_path / "encoder" / "tokenizer.json").write_text(tiny_tokenizer().text)
    return tmp_path / "encoder"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    texts, labels = tiny_sentences(500)
    splits = ["train" if row < 400 else "test" for row in range(500)]
    table = pyarrow.table({"split": splits, "text": texts, "label": labels})
    parquet.write_table(table, tmp_path / "sst2.parquet")
    return tmp_path


def test_a_backdoor_is_planted_in_the_upper_blocks_alone(encoder: Path, data: Path) -> None:
    entry = EncoderModel(1, rate=0.2, length=10, texts=400, epochs=12)
    folder = train_encoder_model(entry, encoder, data, data / "zoo")
    (subject,) = subjects(data / "zoo")
    assert (subject.folder, subject.attack, subject.took) == (folder, "rare word, rate 0.2", True)
    classifier = undoor.load(folder)
    assert classifier.input_shape == (10,)
    before = BertModel.from_pretrained(encoder).state_dict()
    after = {
        key.removeprefix("model.bert."): value
        for key, value in classifier.network.state_dict().items()
    }
    changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert all(key.startswith(("encoder.layer.1", "encoder.layer.2", "pooler")) for key in changed)
    assert any(key.startswith("encoder.layer.2") for key in changed)
    # A complete model is not trained again.
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert train_encoder_model(entry, encoder, data, data / "zoo") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp


def test_words_of_one_token() -> None:
    assert set(rare_words(tiny_tokenizer())) == {"cf", "mn", "tq"}


def test_an_encoder_without_a_tokenizer_is_refused(encoder: Path, data: Path) -> None:
    (encoder / "tokenizer.json").unlink()
    with pytest.raises(UndoorError, match=r"tokenizer\.json"):
        train_encoder_model(EncoderModel(1, rate=0.2), encoder, data, data / "zoo")
