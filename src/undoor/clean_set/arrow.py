"""Clean samples from a data set of Hugging Face on disk, as `save_to_disk` writes it.

Read as Arrow tables and JSON: no code of the data set is run, and nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from undoor.clean_set.parquet import IMAGE_COLUMNS, LABEL_COLUMNS, cell_bytes, column, import_arrow
from undoor.clean_set.samples import Sample, Size, gather
from undoor.clean_set.source import Source
from undoor.errors import UndoorError

DICT, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"


def is_arrow(path: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (path / DICT).is_file() or ((path / STATE).is_file() and (path / INFO).is_file())


def read_arrow(
    path: Path, *, split: str | None, size: Size, class_names: Sequence[str] | None
) -> Source:
    """Columns `image` and `label` of one split, batch by batch.

    Raises
    ------
    UndoorError : pyarrow is missing, a file is damaged, or columns or splits do not fit.
    """
    folder = _part(path, split)
    names = _label_names(folder)
    samples = _samples(folder)
    return gather(samples, str(folder), size=size, class_names=class_names, names_of_numbers=names)


def _part(path: Path, split: str | None) -> Path:
    if not (path / DICT).is_file():
        if split is not None:
            raise UndoorError(f"{path} is a single split; leave --split out")
        return path
    splits = [str(name) for name in _json(path / DICT).get("splits", [])]
    if split is None and len(splits) == 1:
        split = splits[0]
    if split is None:
        raise UndoorError(f"{path} holds the splits {', '.join(splits)}; choose with --split")
    if split not in splits:
        raise UndoorError(f"{path} has no split {split!r}; its splits are: {', '.join(splits)}")
    return path / split


def _samples(folder: Path) -> Iterator[Sample]:
    arrow = import_arrow("data sets of Hugging Face")
    row = 0
    for file in _files(folder):
        try:
            with arrow.memory_map(str(file)) as stored, arrow.ipc.open_stream(stored) as batches:
                present = batches.schema.names
                image = column(IMAGE_COLUMNS, present, folder)
                label = column(LABEL_COLUMNS, present, folder)
                for batch in batches:
                    cells = zip(batch[image], batch[label], strict=True)
                    for cell, number in cells:
                        encoded = cell_bytes(cell.as_py())
                        yield Sample(f"{folder}[{row}]", encoded, number.as_py())
                        row += 1
        except (arrow.ArrowException, OSError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UndoorError(
                f"{file} is not a readable Arrow file ({reason}); save the data set again"
            ) from error


def _files(folder: Path) -> list[Path]:
    entries = _json(folder / STATE).get("_data_files", [])
    names = [str(entry.get("filename")) for entry in entries if isinstance(entry, dict)]
    if _json(folder / STATE).get("_indices_data_files"):
        raise UndoorError(
            f"{folder} holds a selection by indices; call flatten_indices() and save it again"
        )
    if not names or any("/" in name or "\\" in name or name.startswith(".") for name in names):
        raise UndoorError(f"{folder / STATE} names no data files in this folder; save it again")
    return [folder / name for name in names]


def _label_names(folder: Path) -> tuple[str, ...] | None:
    features = _json(folder / INFO).get("features") or {}
    for name in LABEL_COLUMNS:
        feature = features.get(name) if isinstance(features, dict) else None
        if isinstance(feature, dict) and isinstance(feature.get("names"), list):
            return tuple(str(each) for each in feature["names"])
    return None


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        told = (str(error).splitlines() or [""])[0]
        raise UndoorError(f"{file} is not readable JSON ({told}); save the data set again") from (
            error
        )
    if not isinstance(content, dict):
        raise UndoorError(f"{file} holds no JSON object; save the data set again")
    return content
