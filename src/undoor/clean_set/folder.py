"""Clean samples from a folder with one sub-folder a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from undoor.clean_set.images import SUFFIXES, Bytes, UnreadableError, decode
from undoor.clean_set.samples import Sample, gather
from undoor.clean_set.source import Source, number_names
from undoor.errors import UndoorError
from undoor.resizing import Resizing


def read_folder(
    path: Path, *, size: tuple[int, int] | Resizing | None, class_names: Sequence[str] | None
) -> Source:
    """Every image below the class folders of `path`; unreadable ones are named in `skipped`.

    Raises
    ------
    UndoorError : there is no class folder, no readable image, or a class that cannot be matched.
    """
    if not path.is_dir():
        raise UndoorError(f"the folder {path} does not exist; expected a folder of class folders")
    folders = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    if not folders:
        raise UndoorError(f"{path} has no sub-folders; expected one sub-folder of images a class")
    numbers, names = number_names([folder.name for folder in folders], class_names, str(path))
    loose = [p for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith(".")]
    skipped = [f"{p}: lies in no class folder" for p in loose]
    samples = (
        Sample(str(file), checked_file(file), numbers[folder.name])
        for folder in folders
        for file in image_files(folder)
    )
    found = gather(samples, str(path), size=size, class_names=None)
    return found._replace(class_names=names, skipped=(*skipped, *found.skipped))


def checked_file(file: Path) -> Path | UnreadableError:
    """The file, if it is called as images are."""
    if file.suffix.lower() in SUFFIXES:
        return file
    return UnreadableError(f"not an image file ({file.suffix or 'no suffix'})")


def image_files(folder: Path) -> Iterator[Path]:
    """Every file below `folder` in a fixed order; hidden ones are no data."""
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden:
            yield file


def decode_file(file: Path, size: tuple[int, int] | Resizing | None) -> Bytes:
    """One image file; raises `UnreadableError` for what is none."""
    checked = checked_file(file)
    if isinstance(checked, UnreadableError):
        raise checked
    return decode(checked, str(file), size)
