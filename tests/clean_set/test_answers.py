"""Samples whose labels are numbers, or rows of 0 and 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import given, read_clean_set
from undoor.errors import UndoorError
from undoor.spaces.columns import Column

COLUMNS = (Column("age", range=(0, 100)), Column("sex", categories=("f", "m")))


def of_rows(outputs: int, task: str, *names: str) -> Classifier:
    return Classifier(
        nn.Linear(3, outputs), input_shape=(2,), columns=COLUMNS, task=task, class_names=names
    )


def of_images(outputs: int, task: str) -> Classifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, outputs))
    return Classifier(network, input_shape=(1, 4, 4), task=task)


def test_a_number_for_each_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("sex,age,pay\nf,20,1.5\nm,40,2.5\nf,50,\nm,60,-3\nf,61,-3\n")
    clean = read_clean_set(file, classifier=of_rows(1, "regression", "pay"))
    assert sorted(clean.labels.tolist()) == [-3.0, -3.0, 1.5, 2.5]
    assert clean.images.shape == (4, 2)
    assert clean.reading.lost == {"no label": 1}


def test_a_column_for_each_label(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("age,sex,rich,old\n20,f,0,0\n90,m,1,1\n80,m,0,1\n")
    classifier = of_rows(2, "multi-label", "old", "rich")
    clean = read_clean_set(file, classifier=classifier)
    assert sorted(clean.labels.tolist()) == [[0, 0], [1, 0], [1, 1]]
    with pytest.raises(UndoorError, match="expected a column of 0 and 1 for each label"):
        read_clean_set(file, classifier=of_rows(2, "multi-label", "old", "poor"))


def test_an_archive_of_images(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    x, y = np.full((6, 4, 4), 255, np.uint8), np.linspace(-1, 1, 6)
    np.savez(file, x_test=x, y_test=y, x_train=x, y_train=np.eye(6)[:, :3])
    clean = read_clean_set(file, classifier=of_images(1, "regression"), split="test")
    assert float(clean.images.max()) == 1
    assert sorted(clean.labels.tolist()) == pytest.approx(y.tolist())
    sets = read_clean_set(file, classifier=of_images(3, "multi-label"), split="train")
    assert sets.labels.sum(0).tolist() == [1, 1, 1]
    with pytest.raises(UndoorError, match="expected one finite number"):
        read_clean_set(file, classifier=of_images(1, "regression"), split="train")


def test_what_holds_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"write them as y of an \.npz"):
        read_clean_set(tmp_path, classifier=of_images(1, "regression"))
    with pytest.raises(UndoorError, match="does not exist"):
        read_clean_set(tmp_path / "no.npz", classifier=of_images(1, "regression"))


def test_pairs_in_python() -> None:
    x, y = torch.rand(5, 1, 4, 4), np.arange(5)
    clean = given((x, y), of_images(1, "regression"))
    assert clean.labels.dtype == torch.float32
    with pytest.raises(UndoorError, match="one or a row of them for each of the 5"):
        given((x, y[:3]), of_images(1, "regression"))
