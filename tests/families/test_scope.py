"""The scope of the nulls is that of the models that they were learned from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from undoor.families.calibration import calibration_for

ZOO = Path(__file__).parents[2] / "zoo"


@pytest.mark.parametrize("classes", [2, 10])
def test_the_scope_is_that_of_the_calibrated_models(classes: int) -> None:
    learned = calibration_for(classes)
    scope, names = learned.scope, learned.models
    files = [file for name in names for file in ZOO.glob(f"**/{name}/model.toml")]
    found = [tomllib.loads(file.read_text()) for file in files]
    if not found:
        pytest.skip("the models of the benchmark are not here")
    shapes = [tuple(model["input"]["shape"]) for model in found]
    sides = [side for shape in shapes for side in shape[1:]]
    channels = [shape[0] for shape in shapes]
    assert scope.sides == (min(sides), max(sides))
    assert scope.channels == (min(channels), max(channels))
    assert all(scope.covers_size(shape) for shape in shapes)
    numbers = [model["model"]["arguments"]["num_classes"] for model in found]
    assert all(map(scope.covers_classes, numbers))
