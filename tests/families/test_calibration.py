"""What was learned of natural triggers, as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from undoor.errors import UndoorError
from undoor.families.calibration import (
    FEW,
    MANY,
    OF_TASKS,
    ROWS_FEW,
    TEXT_FEW,
    Calibration,
    Scope,
    calibrated_on,
    calibration_for,
)
from undoor.families.registry import family_named, nulls
from undoor.vocabulary import BLACK_BOX, MANY_CLASSES, POINTS, ROWS, SIGNALS, TOKENS


@pytest.mark.parametrize("classes", [2, 10])
def test_a_calibration_is_read_as_it_was_written(classes: int, tmp_path: Path) -> None:
    learned = calibration_for(classes)
    learned.save(tmp_path / "own.toml")
    again = Calibration.load(tmp_path / "own.toml")
    assert again == learned
    assert again.sha256 == learned.sha256
    assert replace(learned, models=()).sha256 != learned.sha256


def test_names_may_hold_anything(tmp_path: Path) -> None:
    odd = ('a "b" \\ c', "ü\n\x7f😀")
    learned = calibration_for(10)
    made = replace(learned, models=odd, nulls={'x "y"': learned.nulls["patch"]})
    made.save(tmp_path / "own.toml")
    assert Calibration.load(tmp_path / "own.toml") == made


def test_each_number_of_classes_has_one_calibration() -> None:
    few, many = calibration_for(2), calibration_for(MANY_CLASSES)
    assert calibration_for(MANY_CLASSES - 1) is few
    assert calibration_for(1000) is many
    for classes in range(2, 200):
        assert calibration_for(classes).scope.covers_classes(classes)
    assert all(null.absolute for null in few.nulls.values())
    assert not any(null.absolute for null in many.nulls.values())
    rows, texts = calibration_for(2, ROWS), calibration_for(2, TOKENS)
    spoken = calibration_for(MANY_CLASSES, SIGNALS, shape=(1, 4096))
    of_tasks = [calibration_for(8, space, task) for task, space in OF_TASKS]
    assert {(each.scope.task, each.scope.space) for each in of_tasks} == set(OF_TASKS)
    seen = calibration_for(MANY_CLASSES, POINTS, shape=(128, 3))
    trees = calibration_for(2, ROWS, network=BLACK_BOX)
    assert trees.scope.covers_network(BLACK_BOX)
    learned = (few, many, rows, texts, spoken, seen, trees, *of_tasks)
    assert set(calibrated_on()) == {name for each in learned for name in each.models}
    # What families bring themselves is of at least five classes.
    assert set(nulls(few)) == set(few.nulls)
    assert len({FEW, MANY, ROWS_FEW, TEXT_FEW}) == 4


def test_rows_have_a_calibration_of_their_own() -> None:
    rows = calibration_for(2, ROWS)
    assert rows.scope.space == ROWS
    assert {"one cell", "two cells", "three cells"} <= set(rows.nulls)
    assert all(null.absolute for null in rows.nulls.values())
    assert calibration_for(MANY_CLASSES, ROWS).scope.space != ROWS


def test_texts_have_a_calibration_of_their_own() -> None:
    texts = calibration_for(2, TOKENS)
    assert texts.scope.space == TOKENS
    assert {"one token", "three tokens"} <= set(texts.nulls)
    assert all(null.absolute for null in texts.nulls.values())
    assert calibration_for(MANY_CLASSES, TOKENS).scope.space != TOKENS


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("undoor/calibration/1", "undoor/calibration/9", "its schema is 'undoor/calibration/9'"),
        ("schema = ", "scheme = ", "its schema is None"),
        ("[lowest]", "[lower]", "missing or unknown: lower, lowest"),
        ("excess = ", "exces = ", "lowest: expected threshold, excess, models; missing"),
        ("space = ", "place = ", "scope: expected space, task"),
        ("models = 7", "models = true", "[lowest] models: expected a whole number"),
        ("models = 7", "models = 0", "[lowest] models: expected a number above 0"),
        ("excess = 2.5", "excess = nan", "[lowest] excess: expected a number above 0"),
        ("excess = 2.5", "excess = -1.0", "[lowest] excess: expected a number above 0"),
        ("excess = 2.5", "excess = inf", "[lowest] excess: expected a number above 0"),
        ("scale = 0.25", "scale = 0.0", '[null."patch"] scale: expected a number above 0'),
        ("scale = 0.25", "scale = nan", '[null."patch"] scale: expected a number above 0'),
        ("location = 1.5", "location = 1e9", '[null."patch"] location: expected a number'),
        ("weight = 0.75", "weight = 0", '[null."patch"] weight: expected a number above 0'),
        ("absolute = false", "absolute = true", "all absolute"),
        ("absolute = false", "absolute = 3", "absolute: expected"),
        ("power = [1, 2]", "power = 7", "int"),
        ("power = [1, 2]", "power = [3, 2]", "power"),
        ('space = "images"', "space = 3", "space"),
        ('models = [\n    "m",\n]', 'models = "m"', "models: expected a list"),
        ("[scope]", "[scope", "Expected"),
        ("[scope]", "a = " + 5000 * "[", "got another"),
    ],
)
def test_what_is_no_calibration_is_refused(old: str, new: str, why: str, tmp_path: Path) -> None:
    """With its table and its key; a damaged file must never make a model clean."""
    file, learned = tmp_path / "own.toml", calibration_for(10)
    patch = replace(learned.nulls["patch"], scale=0.25, location=1.5, weight=0.75)
    lowest = replace(learned.lowest, models=7, excess=2.5)
    made = replace(learned, nulls={"patch": patch}, lowest=lowest, models=("m",), power=(1, 2))
    assert old in made.to_toml()
    file.write_text(made.to_toml().replace(old, new, 1))
    with pytest.raises(UndoorError, match="undoor calibrate") as error:
        Calibration.load(file)
    assert why in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for place in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UndoorError, match="undoor calibrate") as error:
            Calibration.load(place)
        assert "Errno" not in str(error.value)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UndoorError, match="got another"):
        Calibration.load(tmp_path / "bytes.toml")


@pytest.mark.parametrize("changes", [{"nulls": {}}, {"scope": Scope(classes=(2, 4))}])
def test_parts_belong_together(changes: dict[str, Any]) -> None:
    with pytest.raises(UndoorError, match="absolute"):
        replace(calibration_for(10), **changes)


def test_a_scope_without_a_maximum() -> None:
    assert Scope(classes=(2, 4)).covers_classes(4)
    assert not Scope(classes=(2, 4)).covers_classes(5)
    assert Scope(classes=(5, 0)).covers_classes(5000)
    assert Scope(sides=(0, 0), channels=(12, 12)).covers_size((12,))
    assert not Scope(sides=(0, 0), channels=(12, 12)).covers_size((13,))


def test_signals_of_other_lengths_have_no_nulls() -> None:
    spoken = calibration_for(10, SIGNALS, shape=(1, 4096))
    assert spoken.scope.space == SIGNALS
    assert spoken.scope.covers_size((1, 4096))
    assert all(SIGNALS in family_named(name).spaces for name in spoken.nulls)
    for shape in ((6, 32), (1, 16_000), (2, 4096)):
        assert calibration_for(10, SIGNALS, shape=shape) is calibration_for(10)
    assert not spoken.nulls.keys() & calibration_for(10).nulls.keys()


def test_sets_of_other_numbers_of_points_have_no_nulls() -> None:
    seen = calibration_for(10, POINTS, shape=(128, 3))
    assert seen.scope.space == POINTS
    assert all(POINTS in family_named(name).spaces for name in seen.nulls)
    for shape in ((1024, 3), (128, 9)):
        assert calibration_for(10, POINTS, shape=shape) is calibration_for(10)
    assert not seen.nulls.keys() & calibration_for(10).nulls.keys()
