"""Copy two models of the zoo of texts, and texts to scan and measure them with, into the demo.

    python bench/scripts/text_demo.py zoo/text DATA BACKDOORED CLEAN

BACKDOORED and CLEAN are names of models of one data set.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

from common import copy_models

from undoor_bench.zoo.subjects import drawn
from undoor_bench.zoo.text_data import TextData, read_texts

OUT = Path(__file__).parents[2] / "src" / "undoor" / "demo" / "text"
PER_CLASS, TESTED, SEED = 100, 600, 0


def write(file: Path, texts: TextData, rows: list[int]) -> None:
    with file.open("w", newline="") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(["text", "label"])
        sentences, labels = texts.test
        lines.writerows([sentences[row], texts.classes[int(labels[row])]] for row in rows)


def main(zoo: str, data: str, backdoored: str, clean: str) -> None:
    copy_models(Path(zoo), OUT, backdoored, clean)
    truth = json.loads((OUT / "backdoored" / "truth.json").read_text())
    shutil.copy(Path(zoo) / f"{truth['data']}.json", OUT)
    texts = read_texts(truth["data"], Path(data), Path(zoo))
    chosen, others = drawn(texts.test[1], PER_CLASS, SEED)
    write(OUT / "defence.csv", texts, chosen.tolist())
    write(OUT / "test.csv", texts, others[:TESTED].tolist())


if __name__ == "__main__":
    main(*sys.argv[1:])
