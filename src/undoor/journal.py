"""What a long run has done so far, kept so that it can be killed and go on.

Each step that takes seconds is stored under a name made of all that it depends on: whoever takes
the same steps again finds their results, in whatever order, and a step of other data, options,
model or version is another step. Arrays and numbers alone are stored; nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.files import write_atomically

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Journal:
    """folder : made with the first step. facts : digest of what all steps depend on."""

    folder: Path
    facts: str = ""

    def about(self, *facts: object) -> Journal:
        """The same folder, for steps that depend on these facts too."""
        return Journal(self.folder, digest(self.facts, *facts))

    def step(self, name: str, compute: Callable[[], Arrays], *facts: object) -> tuple[Arrays, bool]:
        """What `compute` gives, and whether it was kept from an earlier run instead of computed.

        name : of the kind of step. facts : what it depends on beyond the journal's own. A damaged
        entry counts as missing.

        Raises
        ------
        OSError : the result cannot be written.
        """
        file = self.folder / f"{name}-{digest(self.facts, name, *facts)[:32]}.npz"
        found = _read(file)
        if found is not None:
            return found, True
        arrays = dict(compute())
        write_atomically(file, lambda path: _write(path, arrays))
        return arrays, False

    @property
    def steps(self) -> int:
        """How many are kept, of whatever facts."""
        return sum(1 for _ in self.folder.glob("*.npz"))

    def clear(self) -> None:
        """Forget all steps: their result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def digest(*facts: object) -> str:
    """SHA-256 over arrays, tensors' bytes, text and whatever `repr` tells apart.

    >>> digest("a", 1) == digest("a", 1), digest("a", "b") == digest("ab")
    (True, False)
    """
    made = hashlib.sha256()
    for fact in facts:
        array = fact if isinstance(fact, np.ndarray) else None
        told = repr(fact) if array is None else f"{array.dtype}{array.shape}"
        made.update(f"{len(told)}:{told}".encode())
        if array is not None:
            made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def _read(file: Path) -> dict[str, NDArray[Any]] | None:
    # Whatever is wrong with an entry, it can be made again.
    with (
        suppress(Exception),
        file.open("rb") as stream,
        np.load(stream, allow_pickle=False) as archive,
    ):
        return {key: archive[key] for key in archive.files}
    return None
