"""What a long run has done so far, kept so that it can be killed and go on.

Each step that takes seconds is stored under a name made of all that it depends on: whoever takes
the same steps again finds their results, in whatever order, and a step of other data, options,
model or version is another step. Arrays and numbers alone are stored; nothing is unpickled. What
is stored is sealed by a hash: a damaged entry counts as missing.
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

Arrays = Mapping[str, NDArray[Any]]
SEAL = "sha256"
# A file of this name says that the work ended before it was done.
OPEN = "budget-ended"
# A step may take minutes: so often, in seconds, it keeps where it stands.
DRAFT_EVERY = 5.0


def silent(message: str, /) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Journal:
    """Steps in a folder.

    Attributes
    ----------
    folder
        Made with the first step.
    facts
        Digest of what all steps depend on.
    inside
        A folder that has to be there; where somebody took it away, nothing is made in its place.
    tell
        Hears of entries that turn out to be damaged.
    every
        Seconds from one draft of a step to the next.
    """

    folder: Path
    facts: str = ""
    inside: Path | None = None
    tell: Callable[[str], None] = field(default=silent, compare=False)
    every: float = field(default_factory=lambda: DRAFT_EVERY)

    def __post_init__(self) -> None:
        # Given as text as well.
        object.__setattr__(self, "folder", Path(self.folder))

    def about(self, *facts: object) -> Journal:
        """Return the same folder, for steps that depend on these facts too."""
        return replace(self, facts=digest(self.facts, *facts))

    def step(
        self, name: str, compute: Callable[[Draft], Arrays], *facts: object
    ) -> tuple[Arrays, bool]:
        """Return what `compute` gives, and whether it was kept from an earlier run instead of
        computed.

        Parameters
        ----------
        name
            Of the kind of step.
        compute
            Gets a draft, where it may keep how far it has come.
        facts
            What it depends on beyond the journal's own. A damaged entry counts as missing.

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
        # As they would be read: equal results, also in the order of their bytes in memory.
        arrays = {key: np.array(value, order="C") for key, value in compute(draft).items()}
        self._write(file, arrays)
        draft.file.unlink(missing_ok=True)
        return arrays, False

    @property
    def steps(self) -> int:
        """How many are kept, of whatever facts."""
        return sum(1 for _ in self.folder.glob("*.npz"))

    @property
    def is_open(self) -> bool:
        """Whether the work that it is of ended for now, to be taken up again: see `leave_open`."""
        return (self.folder / OPEN).exists()

    def leave_open(self) -> None:
        """Note that the budget ended: a result is there, but these steps are worth keeping."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / OPEN).touch()

    def take_up(self) -> None:
        """Forget that it was left open."""
        (self.folder / OPEN).unlink(missing_ok=True)

    @property
    def empty(self) -> bool:
        """Whether nothing is kept, not even the beginning of a step."""
        return not self.steps and not any(self.folder.glob("*.draft"))

    def clear(self) -> None:
        """Forget all steps: their result is written."""
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
        # Whatever is wrong with an entry, it can be made again.
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
            if str(arrays.pop(SEAL)) == _seal(arrays):
                return arrays
        except Exception:
            pass
        self.tell(f"{file}: damaged; this step of the earlier run is made again")
        return None


class Draft:
    """How far a step has come, kept every few seconds; gone when the step is done."""

    def __init__(self, journal: Journal | None, file: Path) -> None:
        self.journal = journal
        self.file = file
        self.last = time.monotonic()

    def read(self) -> Arrays | None:
        """Return what was kept last; None where nothing was, or it is damaged."""
        return self.journal._read(self.file) if self.journal else None

    def keep(self, arrays: Callable[[], Arrays], *, now: bool = False) -> None:
        """Keep `arrays()` if it is time to, or `now`.

        Raises
        ------
        OSError
            It cannot be written.
        """
        if self.journal is None:
            return
        if not now and time.monotonic() - self.last < self.journal.every:
            return
        self.journal._write(self.file, dict(arrays()))
        self.last = time.monotonic()


# For work that keeps nothing.
NO_DRAFT = Draft(None, Path())


def digest(*facts: object) -> str:
    """SHA-256 over values: equal for equal ones of the same types, and for no others.

    Parameters
    ----------
    *facts
        Text, bytes, numbers, None, paths, arrays, tensors (their values, whatever device they are
        on), and tuples, lists, mappings, enumerations and dataclasses of these.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        For anything else: what it depends on is not known, so that different objects could get the
        same digest.

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
    """Yield the bytes of a value, its type and the number of its items in front."""
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
