"""Point clouds as inputs: PLY and XYZ files, with as many points as a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from undoor.clean_set.images import MAX_BYTES, Decoded
from undoor.clean_set.reading import UnreadableError
from undoor.errors import first_line

if TYPE_CHECKING:
    from undoor.classifier import Classifier

PLY, XYZ = ".ply", ".xyz"
SUFFIXES = frozenset({PLY, XYZ})
# The types of PLY, and their names since.
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
ENDS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
PLACES = ("x", "y", "z")
MAX_HEADER = 2**16


@dataclass(frozen=True)
class Clouds:
    """How files of points become inputs of a model.

    Attributes
    ----------
    points, channels
        Of an input, [P, C].
    """

    points: int
    channels: int

    @classmethod
    def of(cls, classifier: Classifier) -> Clouds:
        """Return what a model of points takes."""
        return cls(*classifier.input_shape)

    def decode(self, file: Path) -> Decoded:
        """Return one set as float32 [P, C, 1], in the units of the file.

        Of more points P are drawn, always the same ones of a file; of fewer some occur twice.

        Parameters
        ----------
        file
            A .ply file, ASCII or binary, whose vertices have x, y and z, followed by further
            properties in their order, or an .xyz file with a point per line.

        Raises
        ------
        UnreadableError
            It is damaged, too large, of another kind, or its points have too few numbers.
        """
        values = _values(file)
        if not len(values):
            raise UnreadableError("no points in it", "empty")
        if values.shape[1] < self.channels:
            reason = f"{values.shape[1]} numbers per point, the model takes {self.channels}"
            raise UnreadableError(reason, "does not fit")
        chosen = np.asarray(values[:, : self.channels], np.float32)
        if not bool(np.isfinite(chosen).all()):
            raise UnreadableError("values that are not finite")
        order = np.random.default_rng(0).permutation(len(chosen))
        rows = np.resize(order, self.points)
        changed = () if len(chosen) == self.points else ("number of points",)
        return Decoded(chosen[rows][..., None], changed)


def is_cloud(path: Path) -> bool:
    """Return whether a file is named as one of points is."""
    return path.suffix.lower() in SUFFIXES


def _values(file: Path) -> NDArray[Any]:
    """Return the points [n, C] of a file, x, y and z first."""
    if not is_cloud(file):
        raise UnreadableError(f"no points ({file.suffix or 'no suffix'})", "no image")
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UnreadableError(f"more than {MAX_BYTES / 2**20:,.0f} MiB", "too large")
        if file.suffix.lower() == PLY:
            return _ply(file.read_bytes())
        return np.loadtxt(file, np.float64, ndmin=2, delimiter=_delimiter(file))
    except (UnreadableError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise UnreadableError("it is gone", "missing") from error
    except Exception as error:
        raise UnreadableError(first_line(error)) from error


def _delimiter(file: Path) -> str | None:
    """Return what stands between the numbers of a line; None for blanks."""
    with file.open() as lines:
        return "," if "," in lines.readline() else None


def _ply(data: bytes) -> NDArray[Any]:
    """Return the vertices [n, C] of a PLY file (Turk, 1994)."""
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or not 0 < end < MAX_HEADER:
        raise UnreadableError("no header of PLY")
    lines = [line.split() for line in data[:end].decode("ascii").splitlines()]
    formats = [words[1] for words in lines if words[:1] == ["format"]]
    if len(formats) != 1 or formats[0] not in ENDS:
        raise UnreadableError(f"the format {', '.join(formats) or 'none'} of PLY")
    count, names, types = _vertices(lines)
    body = data[data.index(b"\n", end) + 1 :]
    order = [*PLACES, *(name for name in names if name not in PLACES)]
    if not ENDS[formats[0]]:
        rows = [line.split()[: len(names)] for line in body.decode("ascii").splitlines()[:count]]
        if len(rows) < count or any(len(row) < len(names) for row in rows):
            raise UnreadableError(f"fewer than {count} vertices of {len(names)} numbers")
        table = np.array(rows, np.float64).reshape(count, len(names))
        return table[:, [names.index(name) for name in order]]
    kind = np.dtype([(n, ENDS[formats[0]] + t) for n, t in zip(names, types, strict=True)])
    if len(body) < count * kind.itemsize:
        raise UnreadableError(f"fewer than {count} vertices of {len(names)} numbers")
    found = np.frombuffer(body, kind, count)
    return np.stack([found[name].astype(np.float64) for name in order], 1)


def _vertices(lines: list[list[str]]) -> tuple[int, list[str], list[str]]:
    """Return how many vertices there are, and names and types of their properties."""
    starts = [number for number, words in enumerate(lines) if words[:1] == ["element"]]
    if not starts or lines[starts[0]][1] != "vertex":
        raise UnreadableError("the first element is not vertex")
    end = starts[1] if len(starts) > 1 else len(lines)
    properties = [words for words in lines[starts[0] : end] if words[:1] == ["property"]]
    names = [words[-1] for words in properties]
    if any(len(words) != 3 or words[1] not in TYPES for words in properties):
        raise UnreadableError("vertices with lists, or of unknown types")
    if not set(PLACES) <= set(names) or len(set(names)) < len(names):
        raise UnreadableError(f"vertices without x, y and z ({', '.join(names)})", "does not fit")
    return int(lines[starts[0]][2]), names, [TYPES[words[1]] for words in properties]
