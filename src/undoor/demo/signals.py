"""The bundled models and recordings of `undoor demo --space signals`.

Two networks for spoken digits, one with a backdoor and a clean one, and recordings held out from
their training: of the Free Spoken Digit Dataset (Jackson et al., 2018, CC BY-SA 4.0), cut to half a
second and stored with 8 bits. `bench/scripts/signal_demo.py` made them all.
"""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import Literal

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set
from undoor.load import load
from undoor.triggers import Trigger, load_trigger

FOLDER = "signals"


def signal_model(*, clean: bool = False) -> Classifier:
    """Return the backdoored classifier, or the clean one."""
    with as_file(files(__package__).joinpath(FOLDER)) as folder:
        return load(folder / ("clean" if clean else "backdoored"))


def recordings(split: Literal["defence", "test"], classifier: Classifier) -> CleanSet:
    """Return clean recordings for a bundled model; the splits share none with each other."""
    with as_file(files(__package__).joinpath(FOLDER)) as folder:
        return read_clean_set(folder / f"{split}.npz", classifier=classifier)


def signal_trigger() -> tuple[Trigger, int]:
    """Return the true trigger and its target, which only the evaluation uses."""
    model = signal_model()
    with as_file(files(__package__).joinpath(FOLDER) / "backdoored") as folder:
        truth = json.loads((folder / "truth.json").read_text())
        (target,) = set(truth["backdoors"][0]["labels"].values())
        shape, bounds = model.input_shape, model.bounds
        return load_trigger(folder / "trigger.npz", shape=shape, bounds=bounds), target
