"""Text folders of Hugging Face Transformers: what is read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from helpers.tiny_texts import WORDS, tiny_sentences, tiny_tokenizer
from undoor.clean_set import read_clean_set
from undoor.errors import UndoorError
from undoor.load import load
from undoor.load.hub import from_library
from undoor.scrutiny import scrutinise
from undoor.sites import find_sites

# As the loader imports them, beside any torchvision.
BertConfig, Bert = from_library(
    "transformers", "BertConfig", "BertForSequenceClassification", extra="transformers"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT with its tokenizer, as save_pretrained writes them."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
    )
    Bert(config).save_pretrained(tmp_path / "bert")
    (tmp_path / "bert" / "tokenizer.json").write_text(tiny_tokenizer().text)
    return tmp_path / "bert"


def test_a_folder_is_read_as_transformers_reads_it(folder: Path) -> None:
    classifier = load(folder)
    tokenizer = classifier.tokenizer
    assert tokenizer is not None
    assert (classifier.space.name, classifier.input_shape) == ("tokens", (12,))
    assert classifier.class_names == ("negative", "positive")
    x = tokenizer.ids(tiny_sentences(6)[0])
    model = Bert.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = model(x.long(), attention_mask=(x != 0).long()).logits
    assert torch.allclose(classifier.logits(x), expected, atol=1e-5)
    assert load(folder, input_shape=(8,)).input_shape == (8,)


def test_its_graph_is_ordinary_and_has_sites(folder: Path) -> None:
    classifier = load(folder)
    assert scrutinise(classifier).sentences == ()
    assert sum(site.name.endswith("LayerNorm") for site in find_sites(classifier)) == 3


def test_another_tokenizer_is_another_model(folder: Path) -> None:
    before = load(folder).fingerprint()
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace("Lowercase", "NFC"))
    assert load(folder).fingerprint() != before


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="takes token ids, which have no mean"):
        load(folder, mean=(0.5,))
    with pytest.raises(UndoorError, match="how many tokens an input has"):
        load(folder, input_shape=(3, 8, 8))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UndoorError, match=r"has no tokenizer\.json"):
        load(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.y"}}))
    with pytest.raises(UndoorError, match="needs its own code"):
        load(folder)


def test_texts_of_a_model_toml(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from undoor.text_networks import TextCNN

    save_file(TextCNN(2, len(WORDS), width=8).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "tokenizer.json").write_text(tiny_tokenizer().text)
    (tmp_path / "model.toml").write_text(
        '[model]\nweights = "weights.safetensors"\narchitecture = "undoor.text_networks:TextCNN"\n'
        f"arguments = {{ num_classes = 2, tokens = {len(WORDS)}, width = 8 }}\n"
        '[input]\nshape = [10]\ntokenizer = "tokenizer.json"\n'
        '[classes]\nnames = ["negative", "positive"]\n'
    )
    classifier = load(tmp_path)
    assert classifier.space.name == "tokens"
    (tmp_path / "t.csv").write_text("text,label\ngood film,positive\ndull film,negative\n")
    clean = read_clean_set(tmp_path / "t.csv", classifier=classifier)
    assert clean.labels.tolist() == [1, 0]
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(UndoorError, match="expected the tokenizer at"):
        load(tmp_path)
