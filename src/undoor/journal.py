"""Checkpoints of a long run, so that it can be killed and resumed.

The result of each step that takes seconds is stored under a name made of all that it depends on. A
run that takes the same steps again, in any order, finds their results; a step of other data,
options, model or version is another step. Only arrays and numbers are stored; nothing is unpickled.
A hash seals each stored step: a damaged one counts as missing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from undoor.device import array, on_cpu
from undoor.files import write_atomically
from undoor.kinds import require_hint

Arrays = Mapping[str, NDArray[Any]]
SEAL = "sha256"
# A file with this name marks a run that its budget ended before it was done.
OPEN = "budget-ended"
# A step may take minutes: seconds from one checkpoint within a step to the next.
DRAFT_EVERY = 5.0


def silent(message: str, /) -> None:
    """Ignore the message."""


@dataclass(frozen=True)
class Journal:
    """The stored steps of a run, in a folder.

    Attributes
    ----------
    folder
        Created with the first step.
    facts
        Digest of what all steps depend on.
    inside
        A folder that must exist; if it was removed, it is not created again.
    tell
        Is called with a message about each damaged step.
    every
        Seconds from one checkpoint within a step to the next.
    """

    folder: Path
    facts: str = ""
    inside: Path | None = None
    tell: Callable[[str], None] = field(default=silent, compare=False)
    every: float = field(default_factory=lambda: DRAFT_EVERY)

    def __post_init__(self) -> None:
        # The folder may be given as text.
        require_hint(self.folder, str | Path, "folder")
        object.__setattr__(self, "folder", Path(self.folder))

    def about(self, *facts: object) -> Journal:
        """Return a journal in the same folder for steps that also depend on these facts."""
        return replace(self, facts=digest(self.facts, *facts))

    def step(
        self, name: str, compute: Callable[[Draft], Arrays], *facts: object
    ) -> tuple[Arrays, bool]:
        """Return the result of a step, from an earlier run if it is stored.

        Parameters
        ----------
        name
            The kind of step.
        compute
            Computes the result. It gets a draft, in which it may save checkpoints.
        facts
            What the step depends on beyond the facts of the journal.

        Returns
        -------
        tuple
            The arrays, and whether they come from an earlier run. A damaged step is computed anew.

        Raises
        ------
        OSError
            The result cannot be written.
        """
        file = self.folder / f"{name}-{digest(self.facts, name, *facts)[:32]}.npz"
        found = self._read(file)
        if found is not None:
            return found, True
        draft = Draft(self, file.with_suffix(".draft"))
        # As if they were read from the file: equal results, down to the order of bytes in memory.
        arrays = {key: np.array(value, order="C") for key, value in compute(draft).items()}
        self._write(file, arrays)
        draft.file.unlink(missing_ok=True)
        return arrays, False

    @property
    def steps(self) -> int:
        """The number of stored steps, whatever facts they depend on."""
        return sum(1 for _ in self.folder.glob("*.npz"))

    @property
    def is_open(self) -> bool:
        """Whether a budget ended the run, so that it can be resumed: see `leave_open`."""
        return (self.folder / OPEN).exists()

    def leave_open(self) -> None:
        """Mark the run as ended by its budget: there is a result, but the steps stay useful."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / OPEN).touch()

    def take_up(self) -> None:
        """Remove the mark of `leave_open`."""
        (self.folder / OPEN).unlink(missing_ok=True)

    @property
    def empty(self) -> bool:
        """Whether nothing is stored, not even a checkpoint within a step."""
        return not self.steps and not any(self.folder.glob("*.draft"))

    def clear(self) -> None:
        """Delete all steps, since their result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, file: Path, arrays: dict[str, NDArray[Any]]) -> None:
        if self.inside is not None and not self.inside.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.inside))
        sealed = arrays | {SEAL: np.array(_seal(arrays))}

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **sealed)

        write_atomically(file, write)

    def _read(self, file: Path) -> dict[str, NDArray[Any]] | None:
        if not file.exists():
            return None
        # Whatever is wrong with a stored step, it can be computed again.
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
            if str(arrays.pop(SEAL)) == _seal(arrays):
                return arrays
        except Exception:
            pass
        self.tell(f"{file}: damaged; this step of the earlier run is computed again")
        return None


class Draft:
    """The checkpoint within a step: saved every few seconds, deleted when the step is done."""

    def __init__(self, journal: Journal | None, file: Path) -> None:
        self.journal = journal
        self.file = file
        self.last = time.monotonic()

    def read(self) -> Arrays | None:
        """Return the last checkpoint; None if there is none or it is damaged."""
        return self.journal._read(self.file) if self.journal else None

    def save(self, arrays: Callable[[], Arrays], *, now: bool = False) -> None:
        """Save `arrays()` as the checkpoint if it is due, or at once with `now`.

        Raises
        ------
        OSError
            The checkpoint cannot be written.
        """
        if self.journal is None:
            return
        if not now and time.monotonic() - self.last < self.journal.every:
            return
        self.journal._write(self.file, dict(arrays()))
        self.last = time.monotonic()


# For work that saves no checkpoints.
NO_DRAFT = Draft(None, Path())


def digest(*facts: object) -> str:
    """Return a SHA-256 over values, equal only for equal values of the same types.

    Parameters
    ----------
    *facts
        Text, bytes, numbers, None, paths, arrays, tensors (by value, on any device), and tuples,
        lists, mappings, enumerations and dataclasses of these.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        A value is something else, of which different objects could get the same digest.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1), digest("a", "b") == digest("ab")
    (True, False)
    """
    made = hashlib.sha256()
    for fact in facts:
        for part in _parts(fact):
            made.update(f"{len(part)}:".encode())
            made.update(part)
    return made.hexdigest()


def _parts(fact: object) -> Iterator[bytes]:
    """Yield the bytes of a value, after its type and the number of its items."""
    if isinstance(fact, torch.Tensor):
        yield b"tensor"
        # By bytes, since bfloat16 has no counterpart in NumPy.
        plain = on_cpu(fact).contiguous()
        yield f"{plain.dtype}{tuple(plain.shape)}".encode()
        yield array(plain.flatten().view(torch.uint8)).tobytes()
    elif isinstance(fact, np.ndarray | np.generic):
        values = np.asarray(fact)
        if values.dtype.hasobject:
            raise TypeError(f"expected an array of numbers or text, got one of {values.dtype}")
        yield f"array{values.dtype}{values.shape}".encode()
        yield np.ascontiguousarray(values).tobytes()
    elif isinstance(fact, bytes):
        yield b"bytes"
        yield fact
    elif fact is None or isinstance(fact, bool | int | float | str | PurePath | Enum):
        yield type(fact).__qualname__.encode()
        yield repr(fact).encode(errors="surrogatepass")
    else:
        yield from _parts_of_items(fact)


def _parts_of_items(fact: object) -> Iterator[bytes]:
    items: Sequence[object]
    if is_dataclass(fact) and not isinstance(fact, type):
        items = [(item.name, getattr(fact, item.name)) for item in fields(fact)]
    elif isinstance(fact, Mapping):
        items = list(fact.items())
    elif isinstance(fact, tuple | list):
        items = fact
    else:
        raise TypeError(
            "expected text, numbers, arrays, tensors, or tuples, lists, mappings and dataclasses "
            f"of these, got {type(fact).__qualname__}"
        )
    yield f"{type(fact).__qualname__}{len(items)}".encode()
    for item in items:
        yield from _parts(item)


def _seal(arrays: Arrays) -> str:
    return digest(*(part for key in sorted(arrays) for part in (key, np.asarray(arrays[key]))))
