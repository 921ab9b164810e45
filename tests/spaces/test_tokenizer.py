"""The tokenizer of a text model: ids, padding, special tokens, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.tiny_texts import WORDS, tiny_classifier, tiny_tokenizer
from undoor.errors import UndoorError
from undoor.spaces.tokenizer import EXAMPLE, Tokenizer


def with_special() -> str:
    """A tokenizer that puts [CLS] in front of a text and [SEP] behind it."""
    content = json.loads(EXAMPLE)
    content["model"]["vocab"] |= {"[CLS]": 6, "[SEP]": 7}
    kinds = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]
    tokens = {
        name: {"id": name, "ids": [number], "tokens": [name]}
        for name, number in (("[CLS]", 6), ("[SEP]", 7))
    }
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": kinds,
        "pair": kinds,
        "special_tokens": tokens,
    }
    content["added_tokens"] += [
        {**content["added_tokens"][0], "id": number, "content": name}
        for name, number in (("[CLS]", 6), ("[SEP]", 7))
    ]
    return json.dumps(content)


def test_special_tokens_stay_where_a_text_is_cut() -> None:
    tokenizer = Tokenizer(with_special(), 5)
    assert tokenizer.around == (1, 1)
    long, short = tokenizer.ids(["a bad film a bad film", "good"]).tolist()
    assert long == [6, 2, 3, 5, 7]
    assert short == [6, 4, 7, 0, 0]


def test_usable_are_words_alone() -> None:
    tokenizer = tiny_tokenizer()
    assert [WORDS[number] for number in tokenizer.usable] == list(WORDS[2:])
    assert tokenizer.words([2, 5, 0, 0]) == "good bad"
    assert (tokenizer.pad_id, tokenizer.size) == (0, len(WORDS))


def test_another_tokenizer_is_another_model() -> None:
    classifier = tiny_classifier()
    other = Tokenizer(tiny_tokenizer().text.replace("Lowercase", "NFC"), 10)
    twin = type(classifier)(classifier.network, tokenizer=other, class_names=("n", "p"))
    assert classifier.fingerprint() != twin.fingerprint()


@pytest.mark.parametrize(
    ("text", "length", "pad", "match"),
    [
        ("{}", 4, None, "content of a tokenizer.json"),
        (EXAMPLE, 0, None, "expected a length above 0"),
        (EXAMPLE, 4, "[FILL]", "fills up short texts"),
    ],
)
def test_refusals(text: str, length: int, pad: str | None, match: str) -> None:
    with pytest.raises(UndoorError, match=match):
        Tokenizer(text, length, pad)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="expected the tokenizer at"):
        Tokenizer.read(tmp_path / "tokenizer.json", 4)
    (tmp_path / "tokenizer.json").write_text(EXAMPLE)
    assert Tokenizer.read(tmp_path / "tokenizer.json", 4).text == EXAMPLE
