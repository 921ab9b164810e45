"""Labelled texts from files, as a model's token ids."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pytest
import torch
from pyarrow import parquet

from helpers.tiny_texts import tiny_classifier, tiny_sentences, tiny_texts
from undoor.clean_set import read_clean_set
from undoor.clean_set.inputs import read_images
from undoor.errors import UndoorError

NAMES = ("negative", "positive")


def written(folder: Path, kind: str) -> Path:
    texts, labels = tiny_sentences(12)
    named = [NAMES[label] for label in labels]
    file = folder / f"texts.{kind}"
    if kind == "csv":
        rows = [f'"{text}",{name}' for text, name in zip(texts, named, strict=True)]
        file.write_text("sentence,label\n" + "\n".join(rows) + "\n")
    elif kind == "jsonl":
        pairs = zip(texts, named, strict=True)
        file.write_text("\n".join(json.dumps({"text": t, "label": n}) for t, n in pairs))
    else:
        parquet.write_table(pyarrow.table({"text": texts, "label": labels}), file)
    return file


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_kinds_of_files(tmp_path: Path, kind: str) -> None:
    classifier = tiny_classifier()
    found = read_clean_set(written(tmp_path, kind), classifier=classifier)
    expected = tiny_texts(12)
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.labels, expected.labels)
    unlabelled, names, _ = read_images([tmp_path / f"texts.{kind}"], classifier)
    assert torch.equal(unlabelled, expected.images)
    assert len(names) == 12


def test_a_data_set_on_disk(tmp_path: Path) -> None:
    texts, labels = tiny_sentences(6)
    info = {"info": {"features": {"label": {"names": list(NAMES), "_type": "ClassLabel"}}}}
    table = pyarrow.table({"text": texts, "label": labels})
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    with pyarrow.ipc.new_stream(str(tmp_path / "data.arrow"), table.schema) as stream:
        stream.write_table(table)
    state = {"_data_files": [{"filename": "data.arrow"}]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    found = read_clean_set(tmp_path, classifier=tiny_classifier())
    assert torch.equal(found.images, tiny_texts(6).images)
    assert torch.equal(found.labels, tiny_texts(6).labels)


def test_a_split_is_chosen(tmp_path: Path) -> None:
    rows = ["text,label,split", "good film,positive,train", "bad film,negative,test",
            "dull film,negative,train", "fine film,positive,test"]  # fmt: skip
    (tmp_path / "t.csv").write_text("\n".join(rows))
    found = read_clean_set(tmp_path / "t.csv", split="test", classifier=tiny_classifier())
    assert found.labels.tolist() == [0, 1]
    with pytest.raises(UndoorError, match="choose with --split"):
        read_clean_set(tmp_path / "t.csv", classifier=tiny_classifier())


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("t.csv", "words,label\na,0\n", "expected a column 'text'"),
        ("t.csv", "image,label\na,0\n", "looks like images .*, the model takes texts"),
        ("t.jsonl", "[1]\n", "holds no JSON lines"),
        ("t.npz", "", "holds no texts with their classes"),
        ("t.csv", "text,label\n,positive\n", "holds no text that fits"),
    ],
)
def test_refusals(tmp_path: Path, name: str, content: str, match: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UndoorError, match=match):
        read_clean_set(tmp_path / name, classifier=tiny_classifier())


def test_lines_without_labels(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("good film\n\nbad film\n")
    classifier = tiny_classifier()
    found, _, _ = read_images([tmp_path / "t.txt"], classifier)
    assert classifier.predict(found).tolist() == [1, 0]
