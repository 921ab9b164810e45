"""`undoor-bench`: models whose backdoor is known, and what is measured on them."""

from __future__ import annotations

import sys

from undoor.cli.memory import keep_buffers
from undoor.cli.streams import descriptors_apart
from undoor_bench.cli import (
    answers,
    calibrate,
    cost,
    curve,
    depth,
    detect,
    evidence,
    mitigate,
    points,
    real,
    rows,
    seeds,
    serve,
    signals,
    tables,
    texts,
    theory,
    trees,
    zoo,
)
from undoor_bench.cli.app import app

__all__ = [
    "answers",
    "app",
    "calibrate",
    "cost",
    "curve",
    "depth",
    "detect",
    "evidence",
    "main",
    "mitigate",
    "points",
    "real",
    "rows",
    "seeds",
    "serve",
    "signals",
    "tables",
    "texts",
    "theory",
    "trees",
    "zoo",
]


def main() -> None:
    """Run the `undoor-bench` script."""
    # Started by `python -c` or `-m`, Python would import from the working directory first of all.
    sys.path[:] = [place for place in sys.path if place != ""]
    keep_buffers()
    with descriptors_apart():
        app(prog_name="undoor-bench")
