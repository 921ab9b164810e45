"""The bundled models and points of `undoor demo --space points`.

Two networks for handwritten digits as reliefs of 128 points, one with a backdoor and a clean one,
and digits held out from their training: of MNIST (LeCun, Cortes and Burges, 1998).
`bench/scripts/point_demo.py` made them all.
"""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import Literal

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set
from undoor.load import load
from undoor.triggers import Trigger, load_trigger

FOLDER = "points"


def point_model(*, clean: bool = False) -> Classifier:
    """Return the backdoored classifier, or the clean one."""
    with as_file(files(__package__).joinpath(FOLDER)) as folder:
        return load(folder / ("clean" if clean else "backdoored"))


def point_digits(split: Literal["defence", "test"], classifier: Classifier) -> CleanSet:
    """Return clean digits for a bundled model; the splits share none with each other."""
    with as_file(files(__package__).joinpath(FOLDER)) as folder:
        return read_clean_set(folder / f"{split}.npz", classifier=classifier)


def point_trigger() -> tuple[Trigger, int]:
    """Return the true trigger and its target, which only the evaluation uses."""
    model = point_model()
    with as_file(files(__package__).joinpath(FOLDER) / "backdoored") as folder:
        truth = json.loads((folder / "truth.json").read_text())
        (target,) = set(truth["backdoors"][0]["labels"].values())
        shape, bounds = model.input_shape, model.bounds
        return load_trigger(folder / "trigger.npz", shape=shape, bounds=bounds), target
