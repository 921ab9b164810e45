"""Compare scans of the same models in bfloat16 and in float32.

    python arithmetic.py RECORDS RECORDS_FLOAT32 OUT

Both folders hold records of `undoor-bench detect`, the second of runs with UNDOOR_FLOAT32=1. Writes
OUT/arithmetic.md: the models that both have, and whether verdict and targets agree.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from undoor.files import write_text
from undoor_bench.tables import markdown

HEADER = ("model", "bfloat16", "float32", "p-values", "seconds", "the same")


def scan_of(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())["scan"]


def said(scan: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    return scan["verdict"], tuple(sorted(item["target"] for item in scan["targets"]))


def text(scan: dict[str, Any]) -> str:
    verdict, targets = said(scan)
    return f"{verdict} {', '.join(map(str, targets))}".strip()


def lowest(scan: dict[str, Any]) -> str:
    values = [item["p_value"] for item in scan["targets"]]
    return f"{min(values):.2g}" if values else "-"


def main(fast: Path, exact: Path, out: Path) -> None:
    rows = []
    for file in sorted(exact.glob("*.json")):
        if not (fast / file.name).is_file():
            continue
        one, two = (
            json.loads((folder / file.name).read_text())["scan"] for folder in (fast, exact)
        )
        same = "yes" if said(one) == said(two) else "no"
        seconds = f"{one['seconds']:.0f}, {two['seconds']:.0f}"
        row = [file.stem, text(one), text(two), f"{lowest(one)}, {lowest(two)}", seconds, same]
        rows.append(row)
    agree = sum(row[-1] == "yes" for row in rows)
    write_text(
        out / "arithmetic.md",
        f"Verdict and targets agree for {agree} of {len(rows)} models.\n\n{markdown(HEADER, rows)}",
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
