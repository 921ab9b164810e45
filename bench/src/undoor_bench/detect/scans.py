"""Scan models whose backdoors are known, and count what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from undoor.progress import Progress, silent
from undoor.scan import Budget, Thresholds
from undoor_bench import tables
from undoor_bench.amount import Amount
from undoor_bench.records import Record, Setting, called, recorded_scan, right
from undoor_bench.share import Share
from undoor_bench.zoo.subjects import Subject


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
    """Return the record of one scan; what `out` already holds is not scanned again.

    Parameters
    ----------
    data
        A folder with DATA.npz.
    per_class
        Clean images per class that the defender gets.
    seed
        Of the images drawn and of the scan.
    """
    return recorded_scan(
        subject,
        data,
        out / f"{subject.name}.json",
        Setting(Amount(per_class), image_seed=seed, scan_seed=seed),
        thresholds=thresholds,
        budget=budget,
        progress=progress,
    )


@dataclass(frozen=True)
class Row:
    """The models of one attack and data set.

    Attributes
    ----------
    detected
        Called backdoored.
    right
        All true targets named and no other.
    false_alarms
        Clean models called backdoored.
    inconclusive
        Neither called clean nor backdoored.
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
    """Return one row per attack and data set, and one over all backdoored and all clean models.

    Models whose backdoor did not take are left out.
    """
    took = [record for record in records if record["took"]]
    keys = sorted(
        {(record["attack"] == "clean", record["attack"], record["data"]) for record in took}
    )
    rows = [
        row_of(attack, data, [r for r in took if (r["attack"], r["data"]) == (attack, data)])
        for _, attack, data in keys
    ]
    for name, keep in _TOTALS.items():
        rows.append(row_of(name, "all", [record for record in took if keep(record)]))
    return rows


_TOTALS: Mapping[str, Callable[[Record], bool]] = {
    "all backdoored": lambda record: bool(record["targets"]),
    "all clean": lambda record: not record["targets"],
}


def row_of(attack: str, data: str, records: Sequence[Record]) -> Row:
    """Return the row of these models, of whatever attack and data."""
    bad = [record for record in records if record["targets"]]
    good = [record for record in records if not record["targets"]]
    verdicts = [record["scan"]["verdict"] for record in records]
    return Row(
        attack=attack,
        data=data,
        detected=Share(sum(called(record) for record in bad), len(bad)),
        right=Share(sum(map(right, bad)), len(bad)),
        false_alarms=Share(sum(called(record) for record in good), len(good)),
        inconclusive=Share(verdicts.count("inconclusive"), len(records)),
        seconds=_mean([record["scan"]["seconds"] for record in records]),
        passes=_mean([record["scan"]["passes"] for record in records]),
    )


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
    """Return the cells of a row in the table."""
    shares = (row.detected, row.right, row.false_alarms, row.inconclusive)
    return [
        row.attack,
        row.data,
        *(share.text() for share in shares),
        f"{row.seconds:.0f}",
        f"{row.passes:,.0f}",
    ]


def markdown(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    return tables.markdown(HEADER, [cells(row) for row in rows])
