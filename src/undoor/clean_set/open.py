"""Open the data at a path, by the kind of data that it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from undoor.clean_set.arrow import index_saved, is_saved_dataset
from undoor.clean_set.folder import index_folder, is_hidden, is_split
from undoor.clean_set.index import Index
from undoor.clean_set.npz import index_npz
from undoor.clean_set.parquet import SUFFIXES, index_parquet, parquet_files
from undoor.clean_set.shards import RANGE, expand, index_shards
from undoor.errors import UndoorError
from undoor.files import other_spelling

# The number at the end of a shard's name.
STEM = re.compile(r"[-_.]?\d+$")
KINDS = (
    "a folder of class folders, an .npz, a .parquet file or a folder of them, .tar shards, or a "
    "folder written by save_to_disk"
)


def open_index(path: str | Path, split: str | None) -> Index:
    """Return the index of the data at a path.

    Parameters
    ----------
    path
        A folder of class folders, an .npz, Parquet files, a data set saved by Hugging Face
        `datasets`, or WebDataset shards (a file, a folder, `s-{00..07}.tar`).
    split
        A part of the file, or a sub-folder.

    Raises
    ------
    UndoorError
        There is nothing there, or nothing that can be read.
    """
    text = str(path)
    path = Path(path)
    if not path.exists() and RANGE.search(text):
        return _shards(expand(text), text, split)
    if not path.exists():
        raise UndoorError(f"{path} does not exist{other_spelling(path)}; expected {KINDS}")
    if path.is_dir():
        return _folder(path, split)
    if path.suffix == ".npz":
        return index_npz(path, split)
    if path.suffix in SUFFIXES:
        return index_parquet([path], text, split)
    if path.suffix == ".csv":
        raise UndoorError(
            f"{path} looks like rows of a table, whose columns are not known; expected {KINDS}, or "
            "a model whose model.toml describes columns under [input]"
        )
    if path.suffix == ".tar":
        return _shards([path], text, split)
    raise UndoorError(f"{path} is not data of a supported kind; expected {KINDS}")


def _folder(path: Path, split: str | None) -> Index:
    if is_saved_dataset(path):
        return index_saved(path, split)
    inside = path / (split or "")
    if shards := _visible(inside.glob("*.tar")):
        _require_one_split(shards, inside)
        return _shards(shards, str(inside), None)
    of_hub = split is None or not inside.is_dir() or any(inside.glob("*.parquet"))
    if of_hub and (files := parquet_files(path, split)):
        return index_parquet(files, str(path), None)
    return index_folder(inside)


def _visible(files: Iterable[Path]) -> list[Path]:
    return sorted(file for file in files if not is_hidden(file.name))


def _require_one_split(shards: Sequence[Path], folder: Path) -> None:
    """Refuse train-000.tar beside test-000.tar: together they are no data set."""
    named = {STEM.sub("", shard.stem) for shard in shards}
    if len(named) > 1 and all(map(is_split, named)):
        first = min(named)
        raise UndoorError(
            f"{folder} holds shards of several splits ({', '.join(sorted(named)[:8])}); give those "
            f"of one, such as '{folder}/{first}-{{000..003}}.tar'"
        )


def _shards(files: list[Path], source: str, split: str | None) -> Index:
    if split is not None:
        raise UndoorError(f"{source} is one split already; leave --split out")
    missing = next((file for file in files if not file.is_file()), None)
    if missing:
        raise UndoorError(f"the shard {missing} of {source} does not exist; check the range")
    return index_shards(files, source)
