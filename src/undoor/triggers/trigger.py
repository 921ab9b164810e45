"""The base class of triggers, which can be applied to inputs, shown and saved."""

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
    """A fixed change of the raw input or, for a latent trigger, of the output of a site.

    A new kind implements `__call__`, `arrays` and `from_arrays`, and sets `kind`.

    Attributes
    ----------
    kind
        The name of the form of trigger in files.
    family
        Name of the trigger family in which it was estimated, or "given".
    bounds
        Lowest and highest raw value of the model's input.
    relative
        Whether its numbers are shares of the range of the bounds; numbers of things, such as token
        ids, are not.
    site
        The module whose output is changed; "entry" is the raw input.
    """

    kind: ClassVar[str]
    relative: ClassVar[bool] = True
    family: str
    bounds: tuple[float, float]
    site: str = ENTRY

    def __init_subclass__(cls) -> None:
        """Register the class in `KINDS` under its `kind`.

        Raises
        ------
        UndoorError
            Another class is registered under this kind.
        """
        super().__init_subclass__()
        kind = cls.__dict__.get("kind")
        if kind is None:
            return
        other = KINDS.setdefault(kind, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UndoorError(
                f"expected a new name for a kind of trigger, got {kind!r}, which is the name of "
                f"{other.__module__}.{other.__qualname__}; rename it"
            )

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Return triggered copies of raw inputs, or of outputs of the site, [N, C, ...]."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return the arrays that a file holds, in units that do not depend on the bounds."""

    @classmethod
    @abstractmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Trigger:
        """Return the trigger of these arrays for a model: the inverse of `arrays`.

        Parameters
        ----------
        arrays
            Arrays by name, as in a file.
        shape
            Shape (C, H, W) of the model's inputs.
        bounds
            Lowest and highest raw value of the model's inputs.

        Raises
        ------
        UndoorError
            An array is missing or has another shape.
        """

    def resized(self, shape: tuple[int, ...]) -> Trigger:
        """Return the trigger for inputs of another size [C, H, W]; the same where it has none."""
        return self

    def example_shape(self, side: int) -> tuple[int, ...]:
        """Return the shape (C, H, W) of images that show the effect of the trigger.

        Parameters
        ----------
        side
            Height and width in pixels, if the trigger does not determine them.
        """
        return (3, side, side)

    def named_arrays(self) -> Arrays:
        """Return the arrays with ``kind`` and ``family``, which suffice to restore the trigger."""
        return self.arrays() | {"kind": np.array(self.kind), "family": np.array(self.family)}

    def save(self, file: str | Path) -> None:
        """Write `named_arrays` to an .npz file."""
        arrays: dict[str, Any] = self.named_arrays()

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez_compressed(stream, **arrays)

        write_atomically(Path(file), write)


# The kinds of triggers, by their names in files.
KINDS: dict[str, type[Trigger]] = {}


def required(arrays: Arrays, *names: str) -> list[Tensor]:
    """Return the named arrays as float32 tensors.

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
            raise UndoorError(f"{name} holds values that are not finite; write the file again")
    return tensors


def text(arrays: Arrays, name: str) -> str:
    """Return a text among the arrays.

    Raises
    ------
    UndoorError
        There is no entry of this name.
    """
    if name not in arrays:
        raise UndoorError(f"expected an entry {name}, got {', '.join(arrays)}")
    return str(arrays[name])


def require_shape(name: str, value: Tensor, *expected: int) -> None:
    """Refuse an array of another shape than expected.

    Raises
    ------
    UndoorError
        `value` has another shape.
    """
    if tuple(value.shape) != expected:
        raise UndoorError(f"expected {name} of shape {expected}, got {tuple(value.shape)}")
