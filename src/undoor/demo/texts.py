"""The bundled models and texts of `undoor demo --space text`.

Two small networks for the sentiment of film reviews (the Stanford Sentiment Treebank: Socher et
al., EMNLP 2013, as the BadActs repository has it, Apache-2.0), one with a backdoor and a clean one,
and reviews held out from their training.
`bench/scripts/text_demo.py` made them all.
"""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import Literal

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set
from undoor.load import load
from undoor.triggers import Trigger, load_trigger

FOLDER = "text"


def text_model(*, clean: bool = False) -> Classifier:
    """Return the backdoored classifier, or the clean one."""
    with as_file(files(__package__).joinpath(FOLDER)) as folder:
        return load(folder / ("clean" if clean else "backdoored"))


def text_reviews(split: Literal["defence", "test"], classifier: Classifier) -> CleanSet:
    """Return clean reviews for a bundled model; the splits share no review with each other."""
    with as_file(files(__package__).joinpath(FOLDER)) as folder:
        return read_clean_set(folder / f"{split}.csv", classifier=classifier)


def text_trigger() -> tuple[Trigger, int]:
    """Return the true trigger and its target, which only the evaluation uses."""
    model = text_model()
    with as_file(files(__package__).joinpath(FOLDER) / "backdoored") as folder:
        truth = json.loads((folder / "truth.json").read_text())
        (target,) = set(truth["backdoors"][0]["labels"].values())
        shape, bounds = model.input_shape, model.bounds
        return load_trigger(folder / "trigger.npz", shape=shape, bounds=bounds), target
