"""The arrays of a NumPy archive, whose sizes are checked before any is read."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from undoor.clean_set.index import MAX_MEMORY
from undoor.errors import UndoorError, first_line

# Bytes of an array for each byte that it takes in the archive: images of people stay below 100.
# Smaller arrays are exempt, but for what no deflated member can reach.
MAX_RATIO = 200
EXEMPT = 2**30
MAX_DEFLATED = 1040
# In what NumPy says of pickles.
PICKLE = "allow_pickle"
MAX_MEMBERS = 10_000
# What numpy itself takes of a header, without the magic string in front.
MAX_HEADER = 10_000
MAGIC = b"\x93NUMPY"
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class ArrayHeader(NamedTuple):
    """The header of an array in an archive; its values begin at byte `start` of its member."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """How many bytes its values take."""
        return math.prod(self.shape) * self.dtype.itemsize


@contextmanager
def open_npz(path: Path) -> Iterator[NpzFile]:
    """Yield the archive at `path`, in which nothing is unpickled.

    Raises
    ------
    UndoorError
        It is no archive of arrays, or has more members than one of images has.
    """
    if not path.is_file():
        raise UndoorError(f"{path} is no file; expected an .npz archive written by np.savez")
    with path.open("rb") as stream:
        if stream.read(len(MAGIC)) == MAGIC:
            raise UndoorError(f"{path} holds a single array; expected x and y written by np.savez")
        stream.seek(0)
        try:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise ValueError("it is of another kind")
        except Exception as error:
            # NumPy takes whatever it does not know for a pickle, and advises to load that.
            why = "it is damaged, or none" if PICKLE in str(error) else first_line(error)
            raise UndoorError(
                f"{path} is not a readable .npz archive ({why}); write it with np.savez"
            ) from error
        with archive:
            if len(archive.files) > MAX_MEMBERS:
                raise UndoorError(
                    f"{path} has {len(archive.files):,} members; expected x and y written by "
                    "np.savez"
                )
            yield archive


def read_header(archive: NpzFile, name: str, path: Path) -> ArrayHeader:
    """Return the header of an array, checked against the size of its member.

    Raises
    ------
    UndoorError
        The header is damaged or declares Python objects, or the member is not as large as the
        header declares, or unpacks to far more than it takes in the archive.
    """
    try:
        info = zip_of(archive).getinfo(f"{name}.npy")
        _require_weight(info)
        with zip_of(archive).open(info) as stream:
            shape, fortran, dtype = HEADERS[npy.read_magic(stream)](stream, MAX_HEADER)
            found = ArrayHeader(name, shape, dtype, fortran, stream.tell())
        if dtype.hasobject:
            raise ValueError("an array of objects")
        if min(shape, default=0) < 0 or found.start + found.size != info.file_size:
            raise ValueError(
                f"it declares {shape} values of {dtype} but holds {info.file_size:,} bytes"
            )
    # Also MemoryError: nothing large is read here, but parsing a deeply nested header raises it.
    except Exception as error:
        raise unreadable(name, path, error) from error
    return found


def member(archive: NpzFile, found: ArrayHeader, path: Path) -> NDArray[Any]:
    """Return a whole array whose header was read.

    Raises
    ------
    UndoorError
        It is damaged, or takes more than 4 GiB.
    """
    if found.size > MAX_MEMORY:
        raise UndoorError(
            f"{found.name} of {path} takes {found.size / 2**20:,.0f} MiB and cannot be read in "
            "parts; write it in C order, in several archives where it holds no images"
        )
    try:
        return np.asarray(archive[found.name])
    except MemoryError:
        raise
    except Exception as error:
        raise unreadable(found.name, path, error) from error


def array(archive: NpzFile, name: str, path: Path) -> NDArray[Any]:
    """Return the whole array `name`.

    Raises
    ------
    UndoorError
        As `read_header` and `member`.
    """
    return member(archive, read_header(archive, name, path), path)


def zip_of(archive: NpzFile) -> zipfile.ZipFile:
    """Return the zip file behind an archive that is open."""
    assert archive.zip is not None
    return archive.zip


def unreadable(name: str, path: Path, error: BaseException) -> UndoorError:
    """Return the error for an array that cannot be read."""
    return UndoorError(
        f"{name} of {path} cannot be read ({first_line(error)}); "
        "store plain numeric arrays, not Python objects, and copy a truncated file again"
    )


def _require_weight(info: zipfile.ZipInfo) -> None:
    if info.compress_type not in METHODS:
        raise ValueError(f"it is compressed by method {info.compress_type}")
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        raise ValueError("it is stored, but of two sizes")
    ratio = MAX_RATIO if info.file_size > EXEMPT else MAX_DEFLATED
    if info.file_size > ratio * (info.compress_size + 1):
        raise ValueError(
            f"it unpacks from {info.compress_size:,} to {info.file_size:,} bytes, as zip bombs do"
        )
