"""Clean samples from tar files as WebDataset lays them out: `KEY.png` beside `KEY.cls`.

Members are read one after the other; nothing is unpacked to disk.
"""

from __future__ import annotations

import itertools
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from undoor.clean_set.images import SUFFIXES, UnreadableError
from undoor.clean_set.samples import Sample, Size, gather
from undoor.clean_set.source import Source
from undoor.errors import UndoorError

LABELS = (".cls", ".txt", ".json")
JSON_KEYS = ("label", "class", "cls", "target")
# An encoded image, or a label, is smaller.
LARGEST = 2**27
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


def expand(pattern: str) -> list[str]:
    """
    >>> expand("clean-{08..10}.tar")
    ['clean-08.tar', 'clean-09.tar', 'clean-10.tar']
    """
    found = BRACES.search(pattern)
    if not found:
        return [pattern]
    first, last = found.groups()
    head, tail = pattern[: found.start()], pattern[found.end() :]
    numbers = (str(n).zfill(len(first)) for n in range(int(first), int(last) + 1))
    return [whole for number in numbers for whole in expand(f"{head}{number}{tail}")]


def is_shards(path: Path) -> bool:
    """Whether `path` is a tar file, a pattern of some, or a folder of nothing else."""
    if path.is_dir():
        files = [file for file in path.iterdir() if not file.name.startswith(".")]
        return bool(files) and all(file.suffix == ".tar" for file in files)
    return path.suffix == ".tar"


def read_shards(path: Path, *, size: Size, class_names: Sequence[str] | None) -> Source:
    """Image and label of each key.

    Raises
    ------
    UndoorError : a shard is missing or damaged, or no image in them can be read.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [Path(p) for p in expand(str(path))]
    for file in files:
        if not file.is_file():
            raise UndoorError(f"{file} does not exist; expected tar files of WebDataset")
    samples = itertools.chain.from_iterable(map(_samples, files))
    return gather(samples, str(path), size=size, class_names=class_names)


def _samples(file: Path) -> Iterator[Sample]:
    try:
        with tarfile.open(file, "r:*") as archive:
            for key, members in itertools.groupby(_members(archive), lambda pair: pair[0]):
                parts = {suffix: data for _, suffix, data in members}
                yield Sample(f"{file}:{key}", _picture(parts), _label(parts))
    except (tarfile.TarError, OSError, EOFError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise UndoorError(f"{file} is not a readable tar file ({told}); copy it again") from error


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, str, bytes | UnreadableError]]:
    for member in archive:
        folder, _, name = member.name.rpartition("/")
        key, dot, rest = name.partition(".")
        suffix = f"{dot}{rest}".lower()
        if not member.isfile() or not key or suffix not in SUFFIXES.union(LABELS):
            continue
        data: bytes | UnreadableError
        stream = archive.extractfile(member)
        if stream is None or member.size > LARGEST:
            data = UnreadableError(f"{member.size:,} bytes, more than an image takes")
        else:
            data = stream.read()
        yield f"{folder}/{key}" if folder else key, suffix, data


def _picture(parts: dict[str, bytes | UnreadableError]) -> object:
    return next((parts[s] for s in sorted(parts) if s in SUFFIXES), UnreadableError("no image"))


def _label(parts: dict[str, bytes | UnreadableError]) -> object:
    for suffix in LABELS:
        data = parts.get(suffix)
        if isinstance(data, bytes):
            return _of_json(data) if suffix == ".json" else _of_text(data)
    return UnreadableError("no label beside it (.cls, .txt or .json)")


def _of_text(data: bytes) -> object:
    text = data.decode("utf-8", "replace").strip()
    return int(text) if text.isdecimal() else text or UnreadableError("an empty label")


def _of_json(data: bytes) -> object:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return UnreadableError("its .json cannot be read")
    if not isinstance(content, dict):
        return content
    return next((content[key] for key in JSON_KEYS if key in content), None)
