"""Reading triggers from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from undoor.errors import UndoorError
from undoor.extensions import extensions
from undoor.triggers.stamp import Stamp
from undoor.triggers.trigger import KINDS, Arrays, Trigger
from undoor.vocabulary import FAMILY_GROUP


def load_trigger(
    file: str | Path, *, shape: tuple[int, ...], bounds: tuple[float, float]
) -> Trigger:
    """Read a trigger from an .npz file.

    Parameters
    ----------
    file
        A file that `Trigger.save` wrote, or one made by hand with ``mask`` and ``pattern`` in
        [0, 1], both [H, W] or [H, W, C], and ``mode``, "replace" or "add".
    shape
        Shape (C, H, W) of the model's inputs.
    bounds
        Lowest and highest raw value of the model's inputs.

    Raises
    ------
    UndoorError
        There is no such file, or it lacks an array, or has one of another shape, with values that
        are not finite, or with an unknown kind or mode.
    """
    try:
        return trigger_of(_read(Path(file)), shape=shape, bounds=bounds)
    except UndoorError as error:
        raise UndoorError(f"{file}: {error}") from None


def trigger_of(arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]) -> Trigger:
    """Return the trigger of these arrays: the inverse of `Trigger.named_arrays`.

    Raises
    ------
    UndoorError
        As for `load_trigger`.
    """
    kind = str(arrays.get("kind", Stamp.kind))
    if kind not in KINDS:
        extensions(FAMILY_GROUP)  # Packages that add trigger families may add kinds of triggers.
    if kind not in KINDS:
        raise UndoorError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind].from_arrays(arrays, shape=shape, bounds=bounds)


def _read(file: Path) -> Arrays:
    if not file.is_file():
        raise UndoorError("no such file; expected an .npz with mask, pattern and mode")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:
        raise UndoorError(f"not a readable .npz file ({error})") from error
