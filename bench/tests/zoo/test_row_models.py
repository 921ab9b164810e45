"""Models of tables: the table of the zoo, and one model from training to scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import undoor
from undoor.errors import UndoorError
from undoor.row_networks import NETWORKS
from undoor.spaces.columns import Column
from undoor_bench.detect.row_models import RowCase, result_of, text_of
from undoor_bench.zoo import row_models
from undoor_bench.zoo.model_table import read_models
from undoor_bench.zoo.row_data import RowData, read_rows
from undoor_bench.zoo.row_models import RowModel, train_row_model
from undoor_bench.zoo.subjects import subjects

ZOO = Path(__file__).parents[3] / "zoo"


def made_up(count: int = 1200) -> RowData:
    """Three numbers and a kind; the class is whether the first number is above a half."""
    x = np.random.default_rng(0).random((2 * count, 4)).astype(np.float32)
    x[:, 3] = (2 * x[:, 3]).round() / 2
    y = (x[:, 0] > 0.5).astype(np.int64)
    columns = (
        *(Column(name, range=(0, 1), mean=0.5, scale=0.3) for name in "abc"),
        Column("kind", categories=("x", "y", "z")),
    )
    return RowData(columns, ("no", "yes"), x[:count], y[:count], x[count:], y[count:])


def test_the_table_of_the_zoo_has_two_halves() -> None:
    entries = read_models(ZOO / "rows.toml", RowModel)
    assert len({entry.name for entry in entries}) == len(entries)
    for learn in (True, False):
        attacks = [entry.attack for entry in entries if entry.learn is learn]
        assert attacks.count("clean") >= 8
        assert len(attacks) - attacks.count("clean") >= 8
        assert len({*attacks} - {"clean"}) >= 3
        others = [e.attack for e in entries if e.learn is learn and e.network != "MLP"]
        assert others.count("clean") >= 4
        assert len(others) >= 8


def test_entries_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="expected clean without a rate"):
        RowModel("shift", "adult", 0)
    with pytest.raises(UndoorError, match="network must be one of MLP, FTTransformer"):
        RowModel("clean", "adult", 0, network="forest")
    (tmp_path / "rows.toml").write_text("[[model]]\nattak = 1\n")
    with pytest.raises(UndoorError, match="unknown keys attak"):
        read_models(tmp_path / "rows.toml", RowModel)
    with pytest.raises(UndoorError, match="holds no adult"):
        read_rows("adult", tmp_path)


@pytest.mark.parametrize("network", NETWORKS)
def test_each_network_is_trained_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    table = made_up(400)
    monkeypatch.setattr(row_models, "_table", lambda name, data: table)
    entry = RowModel("clean", "adult", 1, width=8, depth=1, network=network)
    train_row_model(entry, tmp_path, tmp_path / "zoo")
    (subject,) = subjects(tmp_path / "zoo")
    assert subject.network == network
    case = RowCase.of(subject, table, per_class=30, seed=0)
    assert case.classifier.logits(case.clean.images).shape == (60, 2)


def test_a_model_from_training_to_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = made_up()
    monkeypatch.setattr(row_models, "_table", lambda name, data: table)
    entry = RowModel("in range", "adult", 1, rate=0.1, width=16)
    folder = train_row_model(entry, tmp_path, tmp_path / "zoo")
    (subject,) = subjects(tmp_path / "zoo")
    assert subject.folder == folder
    assert subject.targets
    case = RowCase.of(subject, table, per_class=30, seed=0)
    line = result_of(case, 0)
    assert line["verdict"] in ("backdoored", "inconclusive")
    assert "measured on 2026-01-01" in text_of([line], "2026-01-01")
    seen = case.observed(undoor.scan(case.classifier, case.clean))
    assert (seen.space, seen.targets) == ("rows", subject.targets)
