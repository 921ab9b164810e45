"""Scan models whose backdoors are known, and count what is found."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import stats

import undoor
from undoor.bench.subjects import Subject, defence_images
from undoor.files import write_atomically
from undoor.progress import Progress, silent
from undoor.scan import Budget, Thresholds

Record = dict[str, Any]
CONFIDENCE = 0.95


def scan_subject(
    subject: Subject,
    data: Path,
    out: Path,
    *,
    per_class: int,
    seed: int = 0,
    thresholds: Thresholds | None = None,
    budget: Budget | None = None,
    progress: Progress = silent,
) -> Record:
    """The record of one scan; what `out` already holds is not scanned again.

    data : a folder with DATA.npz. per_class : clean images a class that the defender gets.
    """
    file = out / f"{subject.name}.json"
    if file.is_file():
        return dict(json.loads(file.read_text()))
    classifier = undoor.load(subject.folder)
    clean = defence_images(data / f"{subject.data}.npz", per_class, seed)
    report = undoor.scan(
        classifier, clean, seed=seed, thresholds=thresholds, budget=budget, progress=progress
    )
    record = {
        "model": subject.name,
        "attack": subject.attack,
        "data": subject.data,
        "network": subject.network,
        "input_shape": list(classifier.input_shape),
        "targets": list(subject.targets),
        "sources": [list(sources) for sources in subject.sources],
        "asr": subject.asr,
        "took": subject.took,
        "per_class": per_class,
        "scan": report.to_json(),
    }
    text = json.dumps(record, indent=1) + "\n"
    write_atomically(file, lambda path: path.write_text(text))
    return record


@dataclass(frozen=True)
class Share:
    """hits of n, with a Clopper-Pearson interval of 95 %.

    >>> Share(9, 10).text()
    '9/10 (55 to 100 %)'
    """

    hits: int
    n: int

    def text(self) -> str:
        if self.n == 0:
            return "–"
        low, high = stats.binomtest(self.hits, self.n).proportion_ci(CONFIDENCE, method="exact")
        return f"{self.hits}/{self.n} ({100 * low:.0f} to {100 * high:.0f} %)"


@dataclass(frozen=True)
class Row:
    """The models of one attack and data set.

    detected : called backdoored. right : all true targets named and no other. false_alarms : clean
    models called backdoored. inconclusive : neither called clean nor backdoored.
    """

    attack: str
    data: str
    detected: Share
    right: Share
    false_alarms: Share
    inconclusive: Share
    seconds: float
    passes: float


def summary(records: Iterable[Record]) -> list[Row]:
    """A row an attack and data set, and one over all backdoored and all clean models; models whose
    backdoor did not take are left out."""
    took = [record for record in records if record["took"]]
    keys = sorted(
        {(record["attack"] == "clean", record["attack"], record["data"]) for record in took}
    )
    rows = [
        _row(attack, data, [r for r in took if (r["attack"], r["data"]) == (attack, data)])
        for _, attack, data in keys
    ]
    for name, keep in _TOTALS.items():
        rows.append(_row(name, "all", [record for record in took if keep(record)]))
    return rows


_TOTALS: Mapping[str, Callable[[Record], bool]] = {
    "all backdoored": lambda record: bool(record["targets"]),
    "all clean": lambda record: not record["targets"],
}


def _row(attack: str, data: str, records: Sequence[Record]) -> Row:
    bad = [record for record in records if record["targets"]]
    good = [record for record in records if not record["targets"]]
    verdicts = [record["scan"]["verdict"] for record in records]
    return Row(
        attack=attack,
        data=data,
        detected=Share(sum(_called(record) for record in bad), len(bad)),
        right=Share(sum(named(record) == sorted(record["targets"]) for record in bad), len(bad)),
        false_alarms=Share(sum(_called(record) for record in good), len(good)),
        inconclusive=Share(verdicts.count("inconclusive"), len(records)),
        seconds=_mean([record["scan"]["seconds"] for record in records]),
        passes=_mean([record["scan"]["passes"] for record in records]),
    )


def named(record: Record) -> list[int]:
    """The targets that the scan named."""
    return sorted(target["target"] for target in record["scan"]["targets"])


def _called(record: Record) -> bool:
    return bool(record["scan"]["verdict"] == "backdoored")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


HEADER = (
    "attack",
    "data",
    "called backdoored",
    "right targets and no other",
    "false alarms",
    "inconclusive",
    "seconds",
    "sample passes",
)


def cells(row: Row) -> list[str]:
    shares = (row.detected, row.right, row.false_alarms, row.inconclusive)
    return [
        row.attack,
        row.data,
        *(share.text() for share in shares),
        f"{row.seconds:.0f}",
        f"{row.passes:,.0f}",
    ]


def markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    lines = [HEADER, ["---"] * len(HEADER), *(cells(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_csv(records: Sequence[Record]) -> str:
    """A line a model."""
    lines = [_flat(record) for record in records]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _flat(record: Record) -> dict[str, object]:
    scan = record["scan"]
    found = scan["targets"]
    return {
        **{name: record[name] for name in ("model", "attack", "data", "network")},
        "asr": "" if record["asr"] is None else f"{record['asr']:.4f}",
        "took": record["took"],
        "targets": " ".join(map(str, record["targets"])),
        "verdict": scan["verdict"],
        "named": " ".join(str(target["target"]) for target in found),
        "families": " ".join(target["family"].replace(" ", "_") for target in found),
        "p_values": " ".join(f"{target['p_value']:.3g}" for target in found),
        "seconds": f"{scan['seconds']:.1f}",
        "passes": scan["passes"],
    }
