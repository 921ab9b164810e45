"""Copy two models of the zoo of signals, and spoken digits to scan and measure them with, into the
demo.

    python bench/scripts/signal_demo.py zoo/signals DATA BACKDOORED CLEAN

BACKDOORED and CLEAN are names of models of the digits. These are stored with 8 bits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import copy_models

from undoor_bench.zoo.signal_data import SignalData, read_signals
from undoor_bench.zoo.subjects import drawn

OUT = Path(__file__).parents[2] / "src" / "undoor" / "demo" / "signals"
PER_CLASS, TESTED, SEED = 15, 200, 0


def write(file: Path, data: SignalData, rows: np.ndarray) -> None:
    x = np.round((data.x_test[rows] + 1) * 127.5).astype(np.uint8)
    np.savez_compressed(file, x=x, y=data.y_test[rows], classes=np.array(data.classes))


def main(zoo: str, folder: str, backdoored: str, clean: str) -> None:
    copy_models(Path(zoo), OUT, backdoored, clean)
    data = read_signals("digits", Path(folder))
    chosen, others = drawn(data.y_test, PER_CLASS, SEED)
    write(OUT / "defence.npz", data, chosen)
    write(OUT / "test.npz", data, others[:TESTED])


if __name__ == "__main__":
    main(*sys.argv[1:])
