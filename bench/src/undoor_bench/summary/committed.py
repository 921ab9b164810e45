"""The committed CSV files of measurements, read back as the records that tables are made of."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor_bench.mitigate.table import RATES
from undoor_bench.records import Record

Line = Mapping[str, str]


def lines(file: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file, by the names of its header.

    Raises
    ------
    UndoorError
        The file is missing or has no lines.
    """
    if not file.is_file():
        raise UndoorError(f"expected the results of a measurement at {file}, found no file")
    with file.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    if not found:
        raise UndoorError(f"expected lines of a measurement in {file}, found none")
    return found


def document(file: Path) -> Any:
    """Return a JSON file.

    Raises
    ------
    UndoorError
        The file is missing.
    """
    if not file.is_file():
        raise UndoorError(f"expected the results of a measurement at {file}, found no file")
    return json.loads(file.read_text(encoding="utf-8"))


def numbers(text: str) -> list[int]:
    """Return the whole numbers in a cell.

    >>> numbers("1 4"), numbers("")
    ([1, 4], [])
    """
    return [int(word) for word in text.split()]


def scan_record(line: Line) -> Record:
    """Return the record from which `undoor-bench detect`, `curve` or `seeds` made a line."""
    record: Record = {name: line[name] for name in ("model", "attack", "data")}
    record |= {"took": line["took"] == "True", "targets": numbers(line["targets"])}
    record["scan"] = {
        "verdict": line["verdict"],
        "targets": [{"target": number} for number in numbers(line["named"])],
        "seconds": float(line["seconds"]),
        "passes": int(line["passes"]),
    }
    if "amount" in line:
        record["setting"] = {"amount": line["amount"]}
        record["drawn"] = {name: int(line[name]) for name in ("images", "least", "most")}
    return record


def rates(line: Line) -> dict[str, float | None]:
    """Return the rates of a line of `undoor-bench mitigate` as fractions; None where it has none.

    Rates before the repair are named `acc_before` and so on.
    """
    names = [*RATES, "acc_before", "asr_before", "sia_before", "seconds"]
    return {name: float(line[name]) if line[name] else None for name in names}
