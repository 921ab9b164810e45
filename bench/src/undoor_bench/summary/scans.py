"""Tables of scans, from the committed lines of `undoor-bench detect`, `curve`, `seeds`, `cost`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from undoor.families.calibration import calibrated_on
from undoor_bench import seeds
from undoor_bench.curve import points
from undoor_bench.detect import scans
from undoor_bench.evidence import read_evidence
from undoor_bench.records import Record, named, right
from undoor_bench.summary.committed import lines, scan_record
from undoor_bench.tables import markdown


def read(file: Path) -> list[Record]:
    """Return the records of the lines of a CSV file."""
    return [scan_record(line) for line in lines(file)]


def found(folder: Path, name: str) -> str:
    """Return the table of detections per attack and data set."""
    return scans.markdown(scans.summary(read(folder / f"detect/{name}.csv")))


def missed(folder: Path, names: Sequence[str]) -> str:
    """Return the backdoored models of which not exactly the true targets were named."""
    records = [record for name in names for record in read(folder / f"detect/{name}.csv")]
    return markdown(
        ("model", "true targets", "verdict", "named"),
        [
            [
                record["model"],
                _numbers(record["targets"]),
                record["scan"]["verdict"],
                _numbers(named(record)),
            ]
            for record in records
            if record["took"] and record["targets"] and not right(record)
        ],
    )


def learned(folder: Path) -> str:
    """Return how many models of how many classes the nulls were learned from."""
    known = calibrated_on()
    models = [m for m in read_evidence(folder / "evidence.jsonl") if m.name in known]
    counts = Counter((m.classes, not m.targets) for m in models)
    classes = sorted({number for number, _ in counts})
    rows = [[str(n), str(counts[n, True]), str(counts[n, False])] for n in classes]
    total = [str(sum(counts[n, clean] for n in classes)) for clean in (True, False)]
    return markdown(("classes", "clean models", "backdoored models"), [*rows, ["all", *total]])


def by_images(folder: Path) -> str:
    """Return the table over all data sets, by how many clean images there were."""
    every = points.curve(read(folder / "curve/curve.csv"))
    return points.markdown([point for point in every if point.data == points.ALL])


def by_seed(folder: Path) -> str:
    """Return how often another seed gave another verdict; the same seed twice is not in the CSV."""
    rows = seeds.stability(read(folder / "seeds/seeds.csv"))
    cells = [seeds.cells(row)[:-1] for row in rows]
    return markdown(seeds.HEADER[:-1], cells) + f"\n{seeds.overall(rows)[0]}\n"


def cost(folder: Path) -> str:
    """Return the table of costs beside mask inversion, whose passes were extrapolated."""
    return markdown(
        ("model", "classes", "passes of a scan", "seconds", "passes of mask inversion", "ratio"),
        [
            [
                line["model"],
                line["classes"],
                f"{int(line['undoor_passes']):,}",
                f"{float(line['undoor_seconds']):.0f}",
                f"{int(line['inversion_passes_low']):,}",
                line["ratio_of_passes"],
            ]
            for line in lines(folder / "cost/cost.csv")
        ],
    )


def _numbers(values: Sequence[int]) -> str:
    return " ".join(map(str, values)) or "–"
