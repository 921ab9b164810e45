"""Clean samples from a folder with one sub-folder a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from undoor.clean_set.images import SUFFIXES
from undoor.clean_set.index import Index, Raw
from undoor.errors import UndoorError


def index_folder(path: Path) -> Index:
    """Every image file below the class folders of `path`.

    Raises
    ------
    UndoorError : there is no class folder.
    """
    if not path.is_dir():
        raise UndoorError(f"the folder {path} does not exist; expected a folder of class folders")
    entries = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    folders = [p for p in entries if p.is_dir()]
    if not folders:
        raise UndoorError(f"{path} has no sub-folders; expected one sub-folder of images a class")
    strays = [f"{p}: lies in no class folder" for p in entries if p.is_file()]
    files: list[str] = []
    labels: list[str] = []
    for folder in folders:
        for file in image_files(folder):
            if file.suffix.lower() in SUFFIXES:
                # Text takes a fraction of the memory of a Path, and there may be millions.
                files.append(str(file))
                labels.append(folder.name)
            else:
                strays.append(f"{file}: not an image file ({file.suffix or 'no suffix'})")

    def read(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        return ((row, Path(files[row])) for row in rows)

    return Index(str(path), labels, files.__getitem__, read, strays=tuple(strays))


def image_files(folder: Path) -> Iterator[Path]:
    """Every file below `folder` in a fixed order; hidden ones are no data."""
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden:
            yield file
