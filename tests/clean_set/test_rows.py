"""Rows of a table from files, and what is said of files that are none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

import undoor
from undoor.classifier import Classifier
from undoor.clean_set import read_clean_set, read_images
from undoor.clean_set.open import open_index
from undoor.errors import UndoorError
from undoor.spaces.columns import Column

COLUMNS = (Column("age", range=(0, 100)), Column("kind", categories=("a", "b")))
CELLS: dict[str, list[object]] = {
    "kind": ["b", "a", "a"],
    "age": [50, 0, 100],
    "income": ["high", "low", "low"],
}


@pytest.fixture
def model() -> Classifier:
    return Classifier(
        nn.Linear(3, 2), input_shape=(2,), columns=COLUMNS, class_names=["low", "high"]
    )


def written(folder: Path, suffix: str, **changed: list[object]) -> Path:
    cells = {**CELLS, **changed}
    file = folder / f"data{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table(cells), file)
    else:
        rows = zip(*cells.values(), strict=True)
        lines = [",".join(cells), *(",".join(map(str, row)) for row in rows)]
        file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_are_read_by_the_names_of_columns(
    tmp_path: Path, model: Classifier, suffix: str
) -> None:
    file = written(tmp_path, suffix)
    clean = read_clean_set(file, classifier=model)
    assert clean.images.tolist() == [[0.5, 1.0], [0.0, 0.0], [1.0, 0.0]]
    assert clean.labels.tolist() == [1, 0, 0]
    assert len(read_clean_set(file, classifier=model, per_class=1)) == 2
    x, names, _ = read_images([file], model)
    assert torch.equal(x, clean.images)
    assert names[2].endswith("[2]")


def test_a_column_of_splits(tmp_path: Path, model: Classifier) -> None:
    file = written(tmp_path, ".csv", split=["train", "test", "train"])
    assert len(read_clean_set(file, classifier=model, split="train")) == 2
    with pytest.raises(UndoorError, match="holds the splits test, train"):
        read_clean_set(file, classifier=model)


def test_rows_that_do_not_fit_are_counted_and_too_many_refused(
    tmp_path: Path, model: Classifier
) -> None:
    ages: list[object] = [50, 0, 100] * 4
    more = {key: cells * 4 for key, cells in CELLS.items()}
    file = written(tmp_path, ".csv", **{**more, "age": [*ages[:-1], 101]})
    clean = read_clean_set(file, classifier=model)
    assert len(clean) == 11
    assert clean.reading.lost == {"does not fit": 1}
    assert "from 0 to 100, got '101'" in clean.skipped[0]
    file = written(tmp_path, ".csv", **{**more, "age": [*ages[:-6], *[101] * 6]})
    with pytest.raises(UndoorError, match="6 of 12"):
        read_clean_set(file, classifier=model)


def test_messages_name_the_space_that_data_look_like(tmp_path: Path, model: Classifier) -> None:
    with pytest.raises(UndoorError, match="is no table; the model takes rows"):
        read_clean_set(tmp_path, classifier=model)
    pictures = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": [b"x"], "label": [0]}), pictures)
    with pytest.raises(UndoorError, match=r"looks like images .*, the model takes rows"):
        read_clean_set(pictures, classifier=model)
    with pytest.raises(
        UndoorError, match="looks like rows of a table, whose columns are not known"
    ):
        open_index(written(tmp_path, ".csv"), None)
    with pytest.raises(UndoorError, match="looks like rows of a table, the model takes images"):
        open_index(written(tmp_path, ".parquet", label=[0, 1, 1]), None)
    with pytest.raises(UndoorError, match="the data look like images of shape"):
        undoor.CleanSet(torch.rand(2, 3, 4, 4), torch.tensor([0, 1])).for_classifier(model)


def test_the_column_of_labels_must_be_clear(tmp_path: Path, model: Classifier) -> None:
    with pytest.raises(UndoorError, match="expected a column 'label'"):
        read_clean_set(written(tmp_path, ".csv", other=[1, 2, 3]), classifier=model)
    named = written(tmp_path, ".csv", other=[1, 2, 3], label=[1, 0, 0])
    assert read_clean_set(named, classifier=model).labels.tolist() == [1, 0, 0]
