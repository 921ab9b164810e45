"""The evidence of many scans in one small file, from which nulls are fitted in minutes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from undoor.calibrate import Observation
from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.scan.report import ClassEvidence
from undoor_bench.records import Record

FACTS = ("model", "attack", "data", "network", "targets", "sources", "input_shape", "asr", "took")
# Of each item of evidence, in this order.
ITEM = ("target", "source", "size", "margin")
DIGITS = 4


def write_evidence(records: Sequence[Record], file: Path) -> None:
    """Write a line of JSON for each record, in order of the models' names."""
    ordered = sorted(records, key=lambda record: str(record["model"]))
    write_text(file, "".join(f"{json.dumps(_compact(record))}\n" for record in ordered))


def read_evidence(file: Path) -> list[Observation]:
    """Return what a file of `write_evidence` holds.

    Raises
    ------
    UndoorError
        It is no such file.
    """
    try:
        return [_observation(json.loads(line)) for line in file.read_text().splitlines()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UndoorError(
            f"{file}: expected a file that `undoor-bench evidence` wrote ({error!r})"
        ) from None


def _compact(record: Record) -> Record:
    by_family: dict[str, list[list[float | int | None]]] = {}
    for item in record["scan"]["evidence"]:
        values = [_short(item.get(key)) for key in ITEM]
        by_family.setdefault(item["family"], []).append(values)
    facts = {key: record[key] for key in FACTS}
    scan = record["scan"]
    return facts | {
        "setting": record["setting"],
        "classes": len(scan["class_names"]),
        "passes": scan["passes"],
        "evidence": by_family,
    }


def _observation(line: Record) -> Observation:
    return Observation(
        name=line["model"],
        classes=line["classes"],
        shape=tuple(line["input_shape"]),
        evidence=tuple(
            ClassEvidence(family=family, score=0.0, p_value=1.0, **dict(zip(ITEM, v, strict=True)))
            for family, items in line["evidence"].items()
            for v in items
        ),
        targets=tuple(line["targets"]),
        sources=tuple(map(tuple, line["sources"])),
        took=line["took"],
    )


def _short(value: float | int | None) -> float | int | None:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
