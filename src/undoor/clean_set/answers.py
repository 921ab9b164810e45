"""Samples of tasks whose labels are numbers, and no numbers or names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.dataset import CleanSet, to_float
from undoor.clean_set.npz import image_array, label_array
from undoor.clean_set.npz_arrays import open_npz
from undoor.clean_set.reading import Log, UnreadableError
from undoor.clean_set.rows import Table, label_column, read_table, rows_of_split
from undoor.errors import UndoorError
from undoor.files import other_spelling
from undoor.spaces.columns import listed

NPZ = ".npz"


def read_answers(path: Path, classifier: Classifier, split: str | None = None) -> CleanSet:
    """Read samples for a task whose labels are rows of numbers, or one number each.

    Parameters
    ----------
    path
        Of a model of a table a .csv or Parquet file with the columns of the model, and the labels
        in columns named as its outputs (of one output also in the column `label`, or the only one
        that the model does not take). Of other models an .npz archive: `x` and `y`, or `x_SPLIT`
        and `y_SPLIT`, with labels [N] or [N, L].
    classifier
        The model.
    split
        The part of the file.

    Raises
    ------
    UndoorError
        There is no such file, or it is none of these.
    """
    if classifier.columns:
        return _of_table(path, classifier, split)
    if not path.exists():
        raise UndoorError(f"{path} does not exist{other_spelling(path)}; expected an {NPZ} file")
    if path.suffix != NPZ:
        raise UndoorError(
            f"{path} holds names or numbers of classes, expected the numbers that a model for "
            f"{classifier.task.name} predicts; write them as y of an {NPZ} file, with the inputs x"
        )
    with open_npz(path) as archive:
        images = image_array(archive, path, split)
        labels = label_array(archive, path, split, len(images))
    return CleanSet(to_float(images), torch.from_numpy(labels), from_bytes=images.dtype == np.uint8)


def _of_table(path: Path, classifier: Classifier, split: str | None) -> CleanSet:
    columns = classifier.columns
    table = read_table(path, columns, labelled=True)
    names = _label_columns(table, classifier)
    log, rows, labels = Log(), [], []
    for row in rows_of_split(table, split):
        name = f"{table.source}[{row}]"
        try:
            found = [_number(table, each, row) for each in names]
        except UnreadableError as error:
            log.lose(name, error)
            continue
        log.tried("row")
        try:
            rows.append(table.shares(columns, row))
        except UnreadableError as error:
            log.lose(name, error, "row")
            continue
        labels.append(found)
    if not rows:
        reason = f" (the first: {log.skipped[0]})" if log.skipped else ""
        raise UndoorError(f"{table.source} holds no row that fits the model{reason}")
    return CleanSet(torch.tensor(rows), _as_labels(labels), reading=log.reading())


def _label_columns(table: Table, classifier: Classifier) -> Sequence[str]:
    names = classifier.output_names or ()
    if names and all(name in table.names for name in names):
        return names
    if classifier.num_outputs == 1:
        return [label_column(table.names, classifier.columns, table.source)]
    raise UndoorError(
        f"{table.source}: expected a column of 0 and 1 for each label of the model, "
        f"{listed(names) or 'whose names are missing under [classes]'}; its columns are: "
        f"{listed(table.names)}"
    )


def _number(table: Table, name: str, row: int) -> float:
    cell = table.cells[name][row]
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        text = f"{name} is {cell!r}, expected a number"
        raise UnreadableError(text, "no label") from None


def _as_labels(labels: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(labels, dtype=torch.float64)
