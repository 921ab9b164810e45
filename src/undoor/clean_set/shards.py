"""Clean samples from WebDataset shards: .tar files of images with their labels beside them.

Members are read in place; nothing is unpacked, so that a member's name cannot lead out of a folder.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from undoor.clean_set.images import MAX_BYTES, SUFFIXES
from undoor.clean_set.index import Index, Label, Raw
from undoor.clean_set.reading import UnreadableError
from undoor.clean_set.tar_members import Member, require_forward
from undoor.clean_set.texts import decoded
from undoor.errors import UndoorError, first_line

LABELS = ("cls", "json", "txt")
LABEL_KEYS = ("label", "cls", "class", "target")
MAX_LABEL_BYTES = 2**20
MAX_SHARDS = 100_000
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
BLOCK = 512
# A common mark of samples without a label.
NEGATIVE = re.compile(r"-\d+")


def expand(pattern: str) -> list[Path]:
    """Return the shards that a pattern such as `shard-{000..003}.tar` stands for.

    It may have several ranges in braces.

    Raises
    ------
    UndoorError
        The range runs backwards, or stands for too many files.

    Examples
    --------
    >>> [str(path) for path in expand("s-{08..10}.tar")]
    ['s-08.tar', 's-09.tar', 's-10.tar']
    """
    pieces = RANGE.split(pattern)
    texts, ends = pieces[::3], list(zip(pieces[1::3], pieces[2::3], strict=True))
    sizes = [int(last) - int(first) + 1 for first, last in ends]
    total = 1
    for size in sizes:
        total *= max(size, 0)
    if not 0 < total <= MAX_SHARDS:
        raise UndoorError(
            f"{pattern} stands for {total:,} files; expected a range such as {{000..003}} of at "
            f"most {MAX_SHARDS:,}"
        )
    ranges = [
        [f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)] for first, last in ends
    ]
    return [
        Path(texts[0] + "".join(a + b for a, b in zip(chosen, texts[1:], strict=True)))
        for chosen in product(*ranges)
    ]


def index_shards(files: Sequence[Path], source: str) -> Index:
    """Return the index of some shards: the places of their images, and their labels.

    Parameters
    ----------
    files
        The shards.
    source
        The name of the data, for messages.

    Raises
    ------
    UndoorError
        A shard is missing, damaged or compressed, or a label is longer than one can be.
    """
    samples: list[_Image] = []
    labels: list[Label] = []
    strays: list[str] = []
    for number, path in enumerate(files):
        for sample in _samples(path):
            if sample.image is None:
                strays.append(f"{path}[{sample.key}]: no image in this sample")
                continue
            start, size = sample.image
            samples.append(_Image(number, start, size, sample.key))
            labels.append(_label(sample.labels))

    def name(row: int) -> str:
        return f"{files[samples[row].shard]}[{samples[row].key}]"

    def read(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        stream: _Bounded | None = None
        opened = -1
        try:
            for row in rows:
                image = samples[row]
                if image.shard != opened:
                    if stream:
                        stream.close()
                    opened, stream = image.shard, _open(files[image.shard])
                yield row, _bytes(stream, image)
        finally:
            if stream:
                stream.close()

    return Index(source, labels, name, read, strays=tuple(strays))


class _Image(NamedTuple):
    shard: int
    start: int
    size: int
    key: str


@dataclass
class _Sample:
    """The members of one key: the place of its image, and possible labels by extension."""

    key: str
    image: tuple[int, int] | None = None
    labels: dict[str, bytes] = field(default_factory=dict)


class _Bounded(io.FileIO):
    """A file of which no more is read at once than the largest image has.

    Headers of tar archives state how much is to be read for a name.
    """

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > MAX_BYTES:
            raise tarfile.ReadError(f"a header asks for {size} bytes")
        return super().read(size)


def _samples(path: Path) -> Iterator[_Sample]:
    current: _Sample | None = None
    with _open(path) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:", tarinfo=Member) as archive:
                for member in archive:
                    # The archive would remember every member it has seen.
                    archive.members = []  # type: ignore[attr-defined]
                    require_forward(archive, member)
                    if not member.isreg() or _is_hidden(member.name):
                        continue
                    key, extension = _key(member.name)
                    if current is None or current.key != key:
                        if current:
                            yield current
                        current = _Sample(key)
                    _take(current, extension, member, stream, path)
                _require_end(stream, archive.offset)
        except (UndoorError, MemoryError):
            raise
        # tarfile raises errors of any type over damaged files.
        except Exception as error:
            raise UndoorError(
                f"{path} is not a whole .tar file ({first_line(error)}); copy it again, or unpack "
                "it where it is compressed"
            ) from error
    if current:
        yield current


def _take(
    sample: _Sample, extension: str, member: tarfile.TarInfo, stream: _Bounded, path: Path
) -> None:
    if f".{extension}" in SUFFIXES:
        sample.image = sample.image or (member.offset_data, member.size)
    elif extension in LABELS:
        if member.size > MAX_LABEL_BYTES:
            raise UndoorError(
                f"{member.name} of {path} has {member.size:,} bytes; expected a label of at most "
                f"{MAX_LABEL_BYTES:,}"
            )
        stream.seek(member.offset_data)
        sample.labels.setdefault(extension, stream.read(member.size))


def _require_end(stream: _Bounded, offset: int) -> None:
    """Require the end of an archive where tarfile saw it, which may be a damaged header."""
    stream.seek(offset)
    if stream.read(BLOCK).strip(b"\0"):
        raise tarfile.ReadError(f"a damaged header at byte {offset}")


def _open(path: Path) -> _Bounded:
    if not path.is_file():
        raise UndoorError(f"the shard {path} does not exist or is no file; check the pattern")
    return _Bounded(str(path))


def _bytes(stream: _Bounded | None, image: _Image) -> Raw:
    assert stream is not None
    if image.size > MAX_BYTES:
        return UnreadableError(f"{image.size:,} bytes are too large for an image", "too large")
    stream.seek(image.start)
    return stream.read(image.size)


def _key(name: str) -> tuple[str, str]:
    """Return key and extension, split at the first dot: 'train/0001' and 'jpg'."""
    path = PurePosixPath(name)
    stem, _, extension = path.name.partition(".")
    return str(path.parent / stem), extension.lower()


def _is_hidden(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".")


def _label(found: dict[str, bytes]) -> Label:
    for extension in LABELS:
        if extension in found:
            try:
                return _parsed(extension, decoded(found[extension]))
            except (ValueError, RecursionError):
                return None
    return None


def _parsed(extension: str, text: str) -> Label:
    if extension != "json":
        text = text.strip()
        return None if not text or NEGATIVE.fullmatch(text) else text
    value: Any = json.loads(text)
    if isinstance(value, dict):
        value = next((value[key] for key in LABEL_KEYS if key in value), None)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return value
