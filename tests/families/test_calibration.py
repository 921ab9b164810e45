"""What was learned of natural triggers, as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from undoor.errors import UndoorError
from undoor.families.calibration import (
    FEW,
    MANY,
    MANY_CLASSES,
    Calibration,
    Scope,
    calibrated_on,
    calibration_for,
)
from undoor.families.registry import nulls


@pytest.mark.parametrize("classes", [2, 10])
def test_a_calibration_is_read_as_it_was_written(classes: int, tmp_path: Path) -> None:
    learned = calibration_for(classes)
    learned.save(tmp_path / "own.toml")
    again = Calibration.load(tmp_path / "own.toml")
    assert again == learned
    assert again.sha256 == learned.sha256
    assert replace(learned, models=()).sha256 != learned.sha256


def test_names_may_hold_anything(tmp_path: Path) -> None:
    odd = ('a "b" \\ c', "ü\n")
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
    assert set(calibrated_on()) == {*few.models, *many.models}
    # What families bring themselves is of at least five classes.
    assert set(nulls(few)) == set(few.nulls)
    assert FEW != MANY


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("undoor/calibration/1", "undoor/calibration/9", "schema"),
        ("[lowest]", "[lower]", "no 'lowest'"),
        ("models = 1", "models = true", "models"),
        ("natural", "unnatural", "unnatural"),
        ('space = "images"', "space = 3", "space"),
        ("[scope]", "[scope", "Expected"),
    ],
)
def test_what_is_no_calibration_is_refused(old: str, new: str, why: str, tmp_path: Path) -> None:
    file, learned = tmp_path / "own.toml", calibration_for(10)
    file.write_text(replace(learned, lowest=replace(learned.lowest, models=1)).to_toml())
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(UndoorError, match="undoor calibrate") as error:
        Calibration.load(file)
    assert why in str(error.value)
    with pytest.raises(UndoorError, match="undoor calibrate"):
        Calibration.load(tmp_path / "none.toml")


def test_a_scope_without_a_maximum() -> None:
    assert Scope(classes=(2, 4)).covers_classes(4)
    assert not Scope(classes=(2, 4)).covers_classes(5)
    assert Scope(classes=(5, 0)).covers_classes(5000)
    assert Scope(sides=(0, 0), channels=(12, 12)).covers_size((12,))
    assert not Scope(sides=(0, 0), channels=(12, 12)).covers_size((13,))
