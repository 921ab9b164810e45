"""Models beside published methods: one of texts, and the record of made-up lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from helpers.tiny_texts import tiny_sentences
from undoor_bench.detect import space_rivals
from undoor_bench.detect.dbs import Inverted
from undoor_bench.detect.space_rivals import METHODS, RATES, beside_rivals, compared
from undoor_bench.detect.text_models import text_case
from undoor_bench.zoo.subjects import subjects
from undoor_bench.zoo.text_data import read_texts
from undoor_bench.zoo.text_models import TextModel, train_text_model


@pytest.mark.slow
def test_a_model_of_texts_beside_all_methods_for_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, labels = tiny_sentences(600)
    splits = ["train" if row < 400 else "test" for row in range(600)]
    table = pyarrow.table({"split": splits, "text": texts, "label": labels})
    parquet.write_table(table, tmp_path / "sst2.parquet")
    ready = {"trigger": "synbkd", "split": "test", "text": "a story", "label": 1, "target": 1}
    parquet.write_table(pyarrow.Table.from_pylist([ready]), tmp_path / "text_triggers.parquet")
    zoo = tmp_path / "zoo"
    train_text_model(
        TextModel("rare word", "sst2", "cnn", 1, 0.2, width=8, epochs=8), tmp_path, zoo
    )
    (subject,) = subjects(zoo)
    case = text_case(subject, read_texts("sst2", tmp_path, zoo), tmp_path, per_class=50, seed=0)
    found = (Inverted(subject.targets[0], 0.0, 1e-4, (5, 6)),)
    monkeypatch.setattr(space_rivals, "dbs", lambda *_args, **_kwargs: found)
    line: dict[str, Any] = compared(case, 0)
    assert (line["dbs called"], line["dbs named"]) == (True, subject.targets[0])
    names = [method.name for method in METHODS if f"{method.name} acc" in line]
    assert names == [method.name for method in METHODS if method.name != "STRIP"]
    assert line["none asr"] > 0.9
    assert line["undoor, 2 suspects tpr"] is not None
    assert line["undoor, 2 suspects acc"] > line["none acc"] - 0.1
    # Rejected inputs are neither the target's nor right.
    rejecting = {key: line[f"BadActs, flagged rejected {key}"] for key in RATES}
    assert rejecting["asr"] == pytest.approx(line["none asr"] - rejecting["tpr"], abs=0.02)
    assert rejecting["fpr"] < 0.3
    text = beside_rivals([line], "2026-01-01", "texts")
    assert "| DBS | 1/1" in text
    assert "| fine-tuning |" in text
    assert "STRIP" not in text


def made_up(name: str, **changes: Any) -> dict[str, Any]:
    line = {"name": name, "targets": "1", "took": True, "verdict": "backdoored", "right": True}
    rates = {f"undoor {key}": 0.5 for key in (*RATES, "auroc")}
    return line | rates | {"undoor seconds": 2.0, "scan seconds": 4.0} | changes


def test_the_record_is_of_all_models_with_a_working_backdoor() -> None:
    clean = {"name": "c", "targets": "", "took": True, "verdict": "clean", "scan seconds": 1.0}
    lines = [
        made_up("found"),
        made_up("missed", right=False, verdict="inconclusive", **{"undoor sia": 0.1}),
        made_up("weak", took=False, **{"undoor sia": 1.0}),
        clean,
    ]
    text = beside_rivals(lines, "2026-01-01", "signals")
    assert "Means over all 2 models" in text
    assert "| undoor | 50.0 % | 50.0 % | 30.0 % | 50.0 % | 50.0 % | 50.0 % | 2.0 |" in text
    assert "| undoor | 1/2 (1 to 99 %) | 0/1 (0 to 98 %) | – | 3.0 |" in text
    assert "DBS" not in text
