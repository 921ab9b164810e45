"""Models of texts: the table of the zoo, and one model from training to scan."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

import undoor
from helpers.tiny_texts import tiny_sentences
from undoor.errors import UndoorError
from undoor_bench.detect.row_models import result_of
from undoor_bench.detect.text_models import record_of, text_case
from undoor_bench.zoo.model_table import read_models
from undoor_bench.zoo.subjects import subjects
from undoor_bench.zoo.text_data import read_texts, ready_made
from undoor_bench.zoo.text_models import TextModel, train_text_model

ZOO = Path(__file__).parents[3] / "zoo"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of a dozen words, and one ready-made trigger."""
    texts, labels = tiny_sentences(600)
    splits = ["train" if row < 400 else "test" for row in range(600)]
    table = pyarrow.table({"split": splits, "text": texts, "label": labels})
    parquet.write_table(table, tmp_path / "sst2.parquet")
    ready = {"trigger": "synbkd", "split": "test", "text": "a story", "label": 1, "target": 1}
    parquet.write_table(pyarrow.Table.from_pylist([ready]), tmp_path / "text_triggers.parquet")
    return tmp_path


def test_the_table_of_the_zoo_has_two_halves() -> None:
    entries = read_models(ZOO / "text.toml", TextModel)
    assert len({entry.name for entry in entries}) == len(entries)
    for learn in (True, False):
        attacks = [entry.attack for entry in entries if entry.learn is learn]
        assert attacks.count("clean") >= 8
        assert len(attacks) - attacks.count("clean") >= 8
        assert len({*attacks} - {"clean"}) >= 3


def test_entries_that_are_none(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UndoorError, match="expected clean without a rate"):
        TextModel("sentence", "sst2", "gru", 0)
    with pytest.raises(UndoorError, match="expected one of the networks"):
        TextModel("clean", "sst2", "rnn", 0)
    (tmp_path / "text.toml").write_text("[[model]]\nattak = 1\n")
    with pytest.raises(UndoorError, match="unknown keys attak"):
        read_models(tmp_path / "text.toml", TextModel)
    with pytest.raises(UndoorError, match="expected one of the texts"):
        read_texts("novels", data, tmp_path)
    assert ready_made("synbkd", "test", data) == (["a story"], 1)


def test_a_model_from_training_to_the_record(data: Path) -> None:
    zoo = data / "zoo"
    entry = TextModel("rare word", "sst2", "cnn", 1, rate=0.2, width=8, epochs=8)
    folder = train_text_model(entry, data, zoo)
    (subject,) = subjects(zoo)
    assert subject.folder == folder
    assert (subject.took, len(subject.targets)) == (True, 1)
    case = text_case(subject, read_texts("sst2", data, zoo), data, per_class=30, seed=0)
    assert case.trigger is not None
    line = result_of(case, 0)
    assert line["verdict"] in ("backdoored", "inconclusive")
    apart = line | {"attack": "syntax", "verdict": "inconclusive"}
    record = record_of([line, apart], "2026-01-01")
    assert "Models of texts" in record
    assert "Syntax and style, apart: 0 of 1" in record
    seen = case.observed(undoor.scan(case.classifier, case.clean))
    assert (seen.space, seen.targets) == ("tokens", subject.targets)
