"""What data that cannot be used are refused with: in the words of their space, without riddles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import given, read_clean_set
from undoor.clean_set.rows import read_rows
from undoor.errors import UndoorError
from undoor.spaces.columns import Column
from undoor.spaces.signals import SIGNALS

COLUMNS = (Column("age", (17.0, 90.0)), Column("hours", (0.0, 99.0)))


def test_one_class_is_said_of_the_inputs_of_the_space() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    signals = Classifier(network, input_shape=(1, 64), space=SIGNALS.name)
    with pytest.raises(UndoorError, match="expected signals of at least 2 classes"):
        given((torch.rand(6, 1, 64), torch.zeros(6, dtype=torch.long)), signals)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("age,hours,age,label\n20,30,40,0\n", "got 'age' twice"),
        ("age,hours,label,label\n20,30,0,1\n", "got 'label' twice"),
        ("", "its columns are: none, since it is empty"),
    ],
)
def test_heads_of_tables(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(content)
    with pytest.raises(UndoorError, match=told):
        read_rows(file, COLUMNS, ("no", "yes"))


def test_nobody_is_told_to_load_a_pickle(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(b"PK")
    classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), input_shape=(3, 4, 4))
    with pytest.raises(UndoorError, match="damaged, or none") as caught:
        read_clean_set(file, classifier=classifier)
    assert "pickle" not in str(caught.value)
