"""Forecast the sample passes of scans by the number of classes: bench/results/real/passes.md."""

from __future__ import annotations

import sys
from pathlib import Path

from undoor.classifier import Classifier
from undoor.inversion.goals import number_searched
from undoor.inversion.ranking import passes_of_ranking
from undoor.networks import ResNet9
from undoor.scan.forecast import passes_of
from undoor.scan.screening import searched
from undoor_bench.tables import markdown, save

# Classes with clean images, at most, and images of each.
WITH_IMAGES, PER_CLASS = 50, 10
HEADER = ("classes", "searched as targets", "passes at most", "of 10 classes")


def passes(classes: int) -> tuple[int, float]:
    """Return how many classes are searched, and the passes of a scan without a second look."""
    network = ResNet9(classes)
    classifier = Classifier(network, input_shape=(3, 32, 32), bounds=(0, 1))
    names, count, sources = (
        searched(classifier),
        number_searched(classes),
        min(classes, WITH_IMAGES),
    )
    total = passes_of(classifier, names, sources * PER_CLASS, targets=count, sources=sources)
    return count, total + (passes_of_ranking(len(names)) if count < classes else 0.0)


def main(out: Path) -> None:
    """Write the table."""
    found = {classes: passes(classes) for classes in (10, 43, 172, 1000)}
    first = found[10][1]
    rows = [
        {"classes": k, "searched": n, "passes": round(total), "ratio": round(total / first, 2)}
        for k, (n, total) in found.items()
    ]
    cells = [[f"{value:,}" for value in row.values()] for row in rows]
    save(out / "passes", markdown(HEADER, cells), rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
