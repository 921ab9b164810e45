"""The bundled model and images of `undoor demo`.

Two traffic-sign classifiers (German Traffic Sign Recognition Benchmark, Stallkamp et al., 2012),
one with a sticker backdoor and its clean twin, and held-out sign images. `scripts/train_demo.py`
made them all.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image
from safetensors.torch import load

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.demo.network import SignNet
from undoor.triggers import Trigger, load_trigger

CLASSES = 43
SIDE = 32
DEMO_TARGET = 5
# Order of the class numbers in the benchmark.
CLASS_NAMES = tuple(
    """speed limit 20|speed limit 30|speed limit 50|speed limit 60|speed limit 70|speed limit 80
    |end of speed limit 80|speed limit 100|speed limit 120|no overtaking|no overtaking by lorries
    |right of way at crossing|priority road|give way|stop|no vehicles|no lorries|no entry|danger
    |bend left|bend right|double bend|bumpy road|slippery road|road narrows|road works
    |traffic lights|pedestrians|children|bicycles|snow|wild animals|end of limits|turn right
    |turn left|straight on|straight or right|straight or left|keep right|keep left|roundabout
    |end of no overtaking|end of no overtaking by lorries""".replace("\n    ", "").split("|")
)


def demo_model(*, clean: bool = False) -> Classifier:
    """Return the backdoored classifier, or its clean twin."""
    network = SignNet(CLASSES)
    name = "clean" if clean else "backdoored"
    weights = load(_read(f"{name}.safetensors"))
    network.load_state_dict(
        {key: value.to(network.state_dict()[key].dtype) for key, value in weights.items()}
    )
    return Classifier(network, input_shape=(3, SIDE, SIDE), class_names=CLASS_NAMES)


def demo_signs(split: Literal["defence", "test"]) -> CleanSet:
    """Return clean signs, equally many per class.

    The two splits share no image with each other or with the training set.
    """
    sheet = np.asarray(Image.open(BytesIO(_read(f"{split}.webp"))).convert("RGB"))
    columns = sheet.shape[1] // SIDE
    tiles = sheet.reshape(CLASSES, SIDE, columns, SIDE, 3).transpose(0, 2, 1, 3, 4)
    labels = np.repeat(np.arange(CLASSES), columns)
    return CleanSet.from_arrays(tiles.reshape(-1, SIDE, SIDE, 3), labels)


def demo_trigger() -> Trigger:
    """Return the true sticker, which only the evaluation uses: no scan or repair sees it."""
    with as_file(files(__name__).joinpath("trigger.npz")) as path:
        return load_trigger(path, shape=(3, SIDE, SIDE), bounds=(0.0, 1.0))


def _read(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()
