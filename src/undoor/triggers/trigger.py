"""A trigger as a result: something that can be stamped on images, shown and stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.errors import UndoorError
from undoor.files import write_atomically

Mode = Literal["replace", "add"]


@dataclass(frozen=True, eq=False)
class Trigger:
    """A fixed trigger in raw input space.

    ``replace`` gives x (1 - mask) + mask pattern, ``add`` gives x (1 - mask) + pattern; both are
    clipped to `bounds`.

    family : name of the trigger family it was estimated in, or "given".
    mask : [1, H, W] or [C, H, W], between 0 and 1; all zero where nothing is replaced.
    pattern : [C, H, W], in raw units.
    """

    family: str
    mask: Tensor
    pattern: Tensor
    mode: Mode
    bounds: tuple[float, float]

    def __call__(self, x: Tensor) -> Tensor:
        """Stamped copies of raw inputs [N, C, H, W]."""
        added = self.pattern * self.mask if self.mode == "replace" else self.pattern
        return (x * (1 - self.mask) + added).clamp(*self.bounds)

    @property
    def size(self) -> float:
        """Pixels replaced (sum of the mask), or the l2 norm of what is added."""
        return float(self.mask.sum() if self.mode == "replace" else self.pattern.norm())

    def save(self, file: Path) -> None:
        """Write ``mask``, ``pattern`` (channels last, bounds mapped to [0, 1]) and ``mode``."""
        low, high = self.bounds
        offset = low if self.mode == "replace" else 0.0
        pattern = ((self.pattern - offset) / (high - low)).movedim(0, -1).numpy()
        shared = len(self.mask) == 1 and self.mask.dim() > 1
        mask = (self.mask[0] if shared else self.mask.movedim(0, -1)).numpy()

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez_compressed(
                    stream, mask=mask, pattern=pattern, mode=self.mode, family=self.family
                )

        write_atomically(file, write)

    @staticmethod
    def load(file: str | Path, *, shape: tuple[int, ...], bounds: tuple[float, float]) -> Trigger:
        """Read an .npz with ``mask``, ``pattern`` in [0, 1] and ``mode``.

        Mask and pattern may be [H, W] or [H, W, C]; `shape` is the input shape (C, H, W).

        Raises
        ------
        UndoorError : no such file, an array missing, another shape, values that are not finite, or
            an unknown mode.
        """
        arrays = _read(Path(file))
        mode = str(arrays["mode"])
        if mode not in get_args(Mode):
            raise UndoorError(f"{file}: mode must be 'replace' or 'add', got {mode!r}")
        mask, pattern = (
            _channels_first(arrays[key], key, len(shape), file) for key in ("mask", "pattern")
        )
        if pattern.shape[1:] != shape[1:] or mask.shape[1:] != shape[1:]:
            raise UndoorError(
                f"{file}: expected a trigger of {'x'.join(map(str, shape[1:]))} pixels as the "
                f"model's input, got pattern {tuple(pattern.shape[1:])} and mask "
                f"{tuple(mask.shape[1:])}"
            )
        if mask.shape[0] not in (1, shape[0]) or pattern.shape[0] not in (1, shape[0]):
            raise UndoorError(
                f"{file}: expected {shape[0]} channels, got pattern {pattern.shape[0]} and "
                f"mask {mask.shape[0]}"
            )
        low, high = bounds
        pattern = pattern.expand(shape) * (high - low) + (low if mode == "replace" else 0.0)
        family = str(arrays["family"]) if "family" in arrays else "given"
        return Trigger(family, mask, pattern.contiguous(), mode, bounds)  # type: ignore[arg-type]


def _read(file: Path) -> dict[str, NDArray[Any]]:
    if not file.is_file():
        raise UndoorError(f"{file}: no such file; expected an .npz with mask, pattern and mode")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except Exception as error:
        raise UndoorError(f"{file}: not a readable .npz file ({error})") from error
    missing = [key for key in ("mask", "pattern", "mode") if key not in arrays]
    if missing:
        raise UndoorError(
            f"{file}: expected the arrays mask, pattern and mode, missing {', '.join(missing)}"
        )
    return arrays


def _channels_first(array: NDArray[Any], name: str, dimensions: int, file: str | Path) -> Tensor:
    tensor = torch.from_numpy(np.asarray(array, np.float32))
    if not bool(torch.isfinite(tensor).all()):
        raise UndoorError(f"{file}: {name} holds values that are not finite; make it again")
    if tensor.dim() == dimensions:
        return tensor.movedim(-1, 0)
    if tensor.dim() == dimensions - 1:
        return tensor[None]
    raise UndoorError(
        f"{file}: {name} must be [H, W] or [H, W, C] for an image, got {tuple(tensor.shape)}"
    )
