"""A trigger as a result: something that can be put on images, shown and stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import ENTRY
from undoor.device import from_array
from undoor.errors import UndoorError
from undoor.files import write_atomically

Arrays = dict[str, NDArray[Any]]


class Trigger(ABC):
    """A fixed change of the raw input or, for a latent trigger, of what a site inside delivers.

    A new kind writes `__call__`, `arrays` and `from_arrays`, and names itself, by which files are
    read.

    Attributes
    ----------
    kind
        The name under which files speak of its form.
    family
        Name of the trigger family it was estimated in, or "given".
    bounds
        Lowest and highest raw value of the model's input.
    site
        The module whose output is changed; "entry" is the raw input.
    """

    kind: ClassVar[str]
    family: str
    bounds: tuple[float, float]
    site: str = ENTRY

    def __init_subclass__(cls) -> None:
        """List the class in `KINDS` under its `kind`.

        Raises
        ------
        UndoorError
            Another class has this kind.
        """
        super().__init_subclass__()
        kind = cls.__dict__.get("kind")
        if kind is None:
            return
        other = KINDS.setdefault(kind, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UndoorError(
                f"expected a new name for a kind of triggers, got {kind!r}, which is "
                f"{other.__module__}.{other.__qualname__}; rename it"
            )

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Triggered copies of raw inputs, or of the site's outputs, [N, C, ...]."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return what a file must hold, in units that do not depend on the bounds."""

    @classmethod
    @abstractmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Trigger:
        """Return the inverse of `arrays` for a model with inputs of `shape` (C, H, W).

        Raises
        ------
        UndoorError
            An array missing or of another shape.
        """

    def example_shape(self, side: int) -> tuple[int, ...]:
        """(C, H, W) of images that show what the trigger does.

        Parameters
        ----------
        side
            Height and width, in pixels, where the trigger leaves them open.
        """
        return (3, side, side)

    def named_arrays(self) -> Arrays:
        """Return the arrays with ``kind`` and ``family``.

        All that it takes to make the trigger again.
        """
        return self.arrays() | {"kind": np.array(self.kind), "family": np.array(self.family)}

    def save(self, file: str | Path) -> None:
        """Write `named_arrays` as .npz."""
        arrays: dict[str, Any] = self.named_arrays()

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez_compressed(stream, **arrays)

        write_atomically(Path(file), write)


# By the name under which files speak of a form of triggers.
KINDS: dict[str, type[Trigger]] = {}


def required(arrays: Arrays, *names: str) -> list[Tensor]:
    """These arrays as float32.

    Raises
    ------
    UndoorError
        One is missing or holds values that are not finite.
    """
    missing = [name for name in names if name not in arrays]
    if missing:
        raise UndoorError(f"expected the arrays {', '.join(names)}, missing {', '.join(missing)}")
    tensors = [from_array(np.asarray(arrays[name], np.float32)) for name in names]
    for name, tensor in zip(names, tensors, strict=True):
        if not bool(torch.isfinite(tensor).all()):
            raise UndoorError(f"{name} holds values that are not finite; make it again")
    return tensors


def text(arrays: Arrays, name: str) -> str:
    """
    Raises
    ------
    UndoorError : no such entry.
    """
    if name not in arrays:
        raise UndoorError(f"expected an entry {name}, got {', '.join(arrays)}")
    return str(arrays[name])


def require_shape(name: str, value: Tensor, *expected: int) -> None:
    """
    Raises
    ------
    UndoorError : `value` has another shape.
    """
    if tuple(value.shape) != expected:
        raise UndoorError(f"expected {name} of shape {expected}, got {tuple(value.shape)}")
