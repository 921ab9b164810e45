"""Exported files that several tests read, each written once per run of the tests."""

from __future__ import annotations

import fcntl
import functools
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import undoor
from helpers.guarded_networks import inputs, subject
from undoor.classifier import Classifier
from undoor.export import Export
from undoor.repairs.record import Repair

FAMILY = "PlainCNN"
# Names the folder that all processes of a run share; conftest.py sets it.
FOLDER = "UNDOOR_TEST_EXPORTED"


@functools.cache
def guarded_pair() -> tuple[Classifier, Repair]:
    """A model of 32 x 32 colour pictures in [0, 255], and its repair."""
    return subject(FAMILY)


@functools.cache
def exported(policy: str = "relabel", with_preprocessing: bool = False) -> Export:
    """The ONNX file of the pair, named guarded.onnx."""
    folder = Path(os.environ[FOLDER]) / f"{policy}-{with_preprocessing}"
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "export.pickle"
    with _alone(folder):
        if not result.exists():
            made = undoor.export(
                *guarded_pair(),
                folder / "guarded.onnx",
                policy=policy,
                with_preprocessing=with_preprocessing,
            )
            result.write_bytes(pickle.dumps(made))
        found: Export = pickle.loads(result.read_bytes())
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is here."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pictures() -> list[NDArray[np.uint8]]:
    """Pixels [H, W, 3] of several sizes, of which some are flagged and some are not."""
    own = inputs(12, seed=9).permute(0, 2, 3, 1).to(dtype=inputs(1).dtype).numpy()
    found = [np.ascontiguousarray(image.round().astype(np.uint8)) for image in own]
    generator = np.random.default_rng(0)
    sizes = ((50, 70), (200, 40), (20, 31), (32, 32))
    return [*found, *(generator.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes)]
