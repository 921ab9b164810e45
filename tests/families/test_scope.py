"""The scope of the nulls is that of the models that they were learned from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from undoor.families.calibration import SCOPE, calibrated_on

ZOO = Path(__file__).parents[2] / "zoo"


def test_the_scope_is_that_of_the_calibrated_models() -> None:
    files = [ZOO / name / "model.toml" for name in calibrated_on()]
    found = [tomllib.loads(file.read_text()) for file in files if file.is_file()]
    if not found:
        pytest.skip("the models of the benchmark are not here")
    shapes = [tuple(model["input"]["shape"]) for model in found]
    sides = [side for shape in shapes for side in shape[1:]]
    channels = [shape[0] for shape in shapes]
    assert SCOPE.sides == (min(sides), max(sides))
    assert SCOPE.channels == (min(channels), max(channels))
    assert all(SCOPE.covers_size(shape) for shape in shapes)
    assert SCOPE.classes <= min(model["model"]["arguments"]["num_classes"] for model in found)
