"""Tables to train on: Adult with two classes, and California housing by quantiles of its price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError
from undoor.spaces.columns import Column

Rows = NDArray[np.float32]
Labels = NDArray[Any]
HOUSING = "housing.parquet"
PRICE = "median_house_value"
TEST_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class RowData:
    """Rows [N, D] in [0, 1] and their labels [N], for training and for tests.

    Attributes
    ----------
    columns
        What they mean.
    classes
        The names of the classes.
    """

    columns: tuple[Column, ...]
    classes: tuple[str, ...]
    x_train: Rows
    y_train: Labels
    x_test: Rows
    y_test: Labels


def read_rows(name: str, folder: Path) -> RowData:
    """Return a table by its name.

    Parameters
    ----------
    name
        One of `TABLES`.
    folder
        With adult.npz and housing.parquet.

    Raises
    ------
    UndoorError
        There is no such table, or its file is missing.
    """
    if name not in TABLES:
        raise UndoorError(f"data must be one of {', '.join(TABLES)}, got {name!r}")
    file, read = TABLES[name]
    if not (folder / file).is_file():
        raise UndoorError(f"{folder} holds no {file}; give the folder with it as --data")
    return read(folder / file)


def _adult(file: Path) -> RowData:
    with np.load(file) as arrays:
        numbers = [arrays[f"num_{part}"].astype(np.float64) for part in ("train", "test")]
        kinds = [arrays[f"cat_{part}"] for part in ("train", "test")]
        labels = [arrays[f"y_{part}"].astype(np.int64) for part in ("train", "test")]
        names, kind_names = arrays["num_names"], arrays["cat_names"]
        categories = [tuple(str(value).split("|")) for value in arrays["cat_values"]]
        classes = tuple(map(str, arrays["classes"]))
    columns = [
        _of_numbers(str(name), numbers[0][:, index], np.concatenate(numbers)[:, index])
        for index, name in enumerate(names)
    ]
    columns += [
        Column(str(name), categories=values)
        for name, values in zip(kind_names, categories, strict=True)
    ]
    counts = np.array([len(values) - 1 for values in categories])
    x = [
        np.concatenate([_shares(columns, n), kind / counts], 1).astype(np.float32)
        for n, kind in zip(numbers, kinds, strict=True)
    ]
    return RowData(tuple(columns), classes, x[0], labels[0], x[1], labels[1])


def read_prices(folder: Path) -> RowData:
    """Return the table of house prices, whose labels are the prices themselves.

    Raises
    ------
    UndoorError
        Its file is missing.
    """
    file = folder / HOUSING
    if not file.is_file():
        raise UndoorError(f"{folder} holds no {HOUSING}; give the folder with it as --data")
    return _prices(file)


def _housing(file: Path, classes: int) -> RowData:
    """Return the table with the price in as many classes of equal size."""
    table = _prices(file)
    edges = np.quantile(table.y_train, np.arange(1, classes) / classes)
    y_train, y_test = (
        np.searchsorted(edges, price, side="right").astype(np.int64)
        for price in (table.y_train, table.y_test)
    )
    names = tuple(f"price {number + 1} of {classes}" for number in range(classes))
    return replace(table, classes=names, y_train=y_train, y_test=y_test)


def _prices(file: Path) -> RowData:
    import pyarrow.parquet as pq

    table = pq.read_table(file).to_pydict()
    price = np.array(table.pop(PRICE), np.float64)
    kind = table.pop("ocean_proximity")
    numbers = np.array(list(table.values()), np.float64).T
    known = np.isfinite(numbers).all(1)
    order = np.random.default_rng(0).permutation(np.flatnonzero(known))
    cut = round(TEST_SHARE * len(order))
    test, train = order[:cut], order[cut:]
    categories = tuple(sorted(set(kind)))
    columns = [
        _of_numbers(name, numbers[train, index], numbers[known, index])
        for index, name in enumerate(table)
    ]
    kinds = np.array([categories.index(each) for each in kind]) / (len(categories) - 1)
    x = np.full((len(kinds), len(columns) + 1), np.nan, np.float32)
    x[known] = np.concatenate([_shares(columns, numbers[known]), kinds[known, None]], 1)
    described = (*columns, Column("ocean_proximity", categories=categories))
    return RowData(described, (PRICE,), x[train], price[train], x[test], price[test])


def _of_numbers(name: str, train: NDArray[np.float64], every: NDArray[np.float64]) -> Column:
    low, high = float(every.min()), float(every.max())
    mean, scale = (float(f"{value:.6g}") for value in (train.mean(), train.std()))
    return Column(name, range=(low, high), mean=mean, scale=scale)


def _shares(columns: list[Column], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    ranges = np.array([column.range for column in columns if column.range is not None])
    return (numbers - ranges[:, 0]) / (ranges[:, 1] - ranges[:, 0])


TABLES: dict[str, tuple[str, Callable[[Path], RowData]]] = {
    "adult": ("adult.npz", _adult),
    **{f"housing{n}": (HOUSING, partial(_housing, classes=n)) for n in (2, 3, 4, 5)},
}
