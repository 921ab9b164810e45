"""Models of points: the table of the zoo, and one model from training to scan."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import undoor
from undoor.errors import UndoorError
from undoor_bench.detect.row_models import RowCase, result_of, text_of
from undoor_bench.zoo import point_data, point_models
from undoor_bench.zoo.model_table import read_models
from undoor_bench.zoo.point_data import PointData, read_points
from undoor_bench.zoo.point_models import PointModel, train_point_model
from undoor_bench.zoo.subjects import subjects

ZOO = Path(__file__).parents[3] / "zoo"
CLASSES, COUNT = 5, 32


def made_up(count: int = 300) -> PointData:
    """Ellipsoids, each class of other proportions."""
    generator = np.random.default_rng(0)
    y = generator.integers(CLASSES, size=2 * count)
    towards = generator.standard_normal((2 * count, COUNT, 3))
    towards /= np.linalg.norm(towards, axis=2, keepdims=True)
    axes = np.random.default_rng(1).uniform(0.2, 0.8, (CLASSES, 1, 3))
    x = (towards * axes[y]).astype(np.float32)
    return PointData(tuple("abcde"), x[:count], y[:count], x[count:], y[count:])


def test_the_table_of_the_zoo_has_two_halves() -> None:
    entries = read_models(ZOO / "points.toml", PointModel)
    assert len({entry.name for entry in entries}) == len(entries)
    assert len({entry.seed for entry in entries}) == len(entries)
    for learn in (True, False):
        attacks = [entry.attack for entry in entries if entry.learn is learn]
        assert attacks.count("clean") >= 8
        assert len(attacks) - attacks.count("clean") >= 8
        assert len({*attacks} - {"clean"}) >= 3


def test_entries_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="expected clean without a rate"):
        PointModel("warp", "activities", "PointNet", 0)
    with pytest.raises(UndoorError, match="network must be one of"):
        PointModel("clean", "activities", "ResNet9", 0)
    with pytest.raises(UndoorError, match="data must be one of point digits, activities"):
        read_points("digits", tmp_path)
    with pytest.raises(UndoorError, match="holds no mnist"):
        read_points("point digits", tmp_path)


def test_digits_are_points_where_they_are_bright(tmp_path: Path) -> None:
    images = np.zeros((4, 28, 28), np.uint8)
    # A bar of full brightness to the right, above the middle.
    images[:, 2:8, 20:24] = 255
    y = np.arange(4)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=images,
        y_train=y,
        x_test=images,
        y_test=y,
        classes=np.array(list("abcd")),
    )
    data, again = (read_points("point digits", tmp_path) for _ in range(2))
    assert data.x_train.shape == (4, point_data.COUNT, 3)
    assert np.array_equal(data.x_train, again.x_train)
    assert not np.array_equal(data.x_train[0], data.x_train[1])
    low, high = data.x_train.min((0, 1)), data.x_train.max((0, 1))
    assert np.all(low >= np.array([20 / 14 - 1, 1 - 8 / 14, 0.2]) - 1e-6)
    assert np.all(high <= np.array([24 / 14 - 1, 1 - 2 / 14, 0.2]) + 1e-6)


@pytest.mark.parametrize("sources", [0, 2])
def test_a_model_from_training_to_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: int
) -> None:
    data = made_up()
    monkeypatch.setattr(point_models, "_read", lambda name, folder: data)
    entry = PointModel(
        "cluster", "activities", "PointNet", 1, rate=0.1, width=8, sources=sources, epochs=20
    )
    folder = train_point_model(entry, tmp_path, tmp_path / "zoo")
    truth = json.loads((folder / "truth.json").read_text())
    (backdoor,) = truth["backdoors"]
    assert len(backdoor["labels"]) == (sources or CLASSES - 1)
    assert backdoor["asr"] > 0.6
    (subject,) = subjects(tmp_path / "zoo")
    assert subject.folder == folder
    case = RowCase.of(subject, data, per_class=20, seed=0)
    line = result_of(case, 0)
    assert line["verdict"] in ("backdoored", "inconclusive", "clean")
    assert "Models of points that no choice" in text_of([line], "2026-01-01", "points")
    seen = case.observed(undoor.scan(case.classifier, case.clean))
    assert (seen.space, seen.targets) == ("points", subject.targets)
