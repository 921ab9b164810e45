"""Copy two models of the zoo of points, and digits to scan and measure them with, into the demo.

    python bench/scripts/point_demo.py zoo/points DATA BACKDOORED CLEAN

BACKDOORED and CLEAN are names of models of the digits. These are stored as float16.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import copy_models

from undoor_bench.zoo.point_data import PointData, read_points
from undoor_bench.zoo.subjects import drawn

OUT = Path(__file__).parents[2] / "src" / "undoor" / "demo" / "points"
PER_CLASS, TESTED, SEED = 20, 300, 0


def write(file: Path, data: PointData, rows: np.ndarray) -> None:
    points, labels = data.x_test[rows].astype(np.float16), data.y_test[rows]
    np.savez_compressed(file, points=points, labels=labels, classes=np.array(data.classes))


def main(zoo: str, folder: str, backdoored: str, clean: str) -> None:
    copy_models(Path(zoo), OUT, backdoored, clean)
    data = read_points("point digits", Path(folder))
    chosen, others = drawn(data.y_test, PER_CLASS, SEED)
    write(OUT / "defence.npz", data, chosen)
    write(OUT / "test.npz", data, others[:TESTED])


if __name__ == "__main__":
    main(*sys.argv[1:])
