"""Records of what scans of usual networks cost, and their table."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.files import write_json
from undoor.scan.circumstances import now
from undoor_bench.records import Record
from undoor_bench.tables import markdown

HEADER = (
    "model",
    "input",
    "classes",
    "images",
    "passes of a scan",
    "passes measured",
    "ms per pass",
    "bare",
    "ratio",
    "processor time of a scan",
    "peak memory",
)


def facts(name: str, classifier: Classifier, clean: CleanSet, memory: str | None) -> Record:
    """Return what was measured on what."""
    return {
        "model": name,
        "shape": list(classifier.input_shape),
        "classes": classifier.num_classes,
        "images": len(clean),
        "memory": memory,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "date": now(),
    }


def totals(families: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the cost of all families, carried over from what was measured to all passes.

    Per pass by the families with a batch with gradients; the others count as these do.

    >>> one = {"passes": 10, "forecast": 100, "processor_seconds": 2.0, "peak_bytes": 5,
    ...        "bare_processor_seconds_per_pass": 0.1}
    >>> totals([one, one])["processor_seconds"], totals([one])["ratio"]
    (40.0, 2.0)
    """
    timed = [each for each in families if each["passes"] and each.get("batch", 1)]
    per_pass = {id(e): e["processor_seconds"] / e["passes"] for e in timed}
    whole = sum(each["forecast"] for each in timed)
    seconds = sum(per_pass[id(each)] * each["forecast"] for each in timed)
    bare = sum(each["bare_processor_seconds_per_pass"] * each["forecast"] for each in timed)
    return {
        "forecast": sum(each["forecast"] for each in families),
        "measured": sum(each["passes"] for each in families),
        "processor_seconds": seconds / whole * sum(each["forecast"] for each in families),
        "seconds_per_pass": seconds / whole,
        "bare_seconds_per_pass": bare / whole,
        "ratio": seconds / bare,
        "peak_bytes": max(each["peak_bytes"] for each in families),
    }


def save(record: Record, file: Path) -> None:
    """Write a record."""
    write_json(file, record)


def read(folder: Path) -> list[Record]:
    """Return the records of a folder, by name of file."""
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def cells(record: Record) -> list[str]:
    """Return a line of the table."""
    total = totals(record["families"])
    return [
        record["name"],
        " × ".join(map(str, record["shape"])),
        str(record["classes"]),
        str(record["images"]),
        f"{total['forecast']:,.0f}",
        f"{total['measured']:,.0f}",
        f"{1000 * total['seconds_per_pass']:.1f}",
        f"{1000 * total['bare_seconds_per_pass']:.1f}",
        f"{total['ratio']:.2f}",
        f"{total['processor_seconds'] / 60:.0f} min",
        f"{total['peak_bytes'] / 1e9:.2f} GB",
    ]


def report(records: Sequence[Record]) -> str:
    """Return the table as Markdown."""
    return markdown(HEADER, map(cells, records))
