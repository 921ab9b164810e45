"""Copy two models of the zoo of tables, and rows to scan and measure them with, into the demo.

    python bench/scripts/table_demo.py zoo/rows DATA BACKDOORED CLEAN

BACKDOORED and CLEAN are names of models of one table.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from common import copy_models

from undoor_bench.zoo.row_data import RowData, read_rows
from undoor_bench.zoo.subjects import drawn

OUT = Path(__file__).parents[2] / "src" / "undoor" / "demo" / "table"
PER_CLASS, TESTED, SEED = 100, 600, 0


def write(file: Path, table: RowData, rows: list[int]) -> None:
    with file.open("w", newline="") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow([*(column.name for column in table.columns), "label"])
        for row in rows:
            cells = zip(table.columns, table.x_test[row].tolist(), strict=True)
            label = table.classes[int(table.y_test[row])]
            lines.writerow([*(column.text(value) for column, value in cells), label])


def main(zoo: str, data: str, backdoored: str, clean: str) -> None:
    copy_models(Path(zoo), OUT, backdoored, clean)
    truth = json.loads((OUT / "backdoored" / "truth.json").read_text())
    table = read_rows(truth["data"], Path(data))
    chosen, others = drawn(table.y_test, PER_CLASS, SEED)
    write(OUT / "defence.csv", table, chosen.tolist())
    write(OUT / "test.csv", table, others[:TESTED].tolist())


if __name__ == "__main__":
    main(*sys.argv[1:])
