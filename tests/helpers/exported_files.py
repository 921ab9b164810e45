"""Exported files that several tests read, each written once per process."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import undoor
from helpers.guarded_networks import inputs, subject
from undoor.classifier import Classifier
from undoor.export import Export
from undoor.repairs.record import Repair

FAMILY = "PlainCNN"


@functools.cache
def guarded_pair() -> tuple[Classifier, Repair]:
    """A model of 32 x 32 colour pictures in [0, 255], and its repair."""
    return subject(FAMILY)


@functools.cache
def exported(policy: str = "relabel", with_preprocessing: bool = False) -> Export:
    """The ONNX file of the pair, named guarded.onnx."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return undoor.export(
        *guarded_pair(),
        folder / "guarded.onnx",
        policy=policy,
        with_preprocessing=with_preprocessing,
    )


def pictures() -> list[NDArray[np.uint8]]:
    """Pixels [H, W, 3] of several sizes, of which some are flagged and some are not."""
    own = inputs(12, seed=9).permute(0, 2, 3, 1).to(dtype=inputs(1).dtype).numpy()
    found = [np.ascontiguousarray(image.round().astype(np.uint8)) for image in own]
    generator = np.random.default_rng(0)
    sizes = ((50, 70), (200, 40), (20, 31), (32, 32))
    return [*found, *(generator.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes)]
