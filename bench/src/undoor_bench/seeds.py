"""Whether another seed gives another verdict, and the same seed the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from undoor_bench import tables
from undoor_bench.records import Record, called, named, right
from undoor_bench.share import Share

# All that may differ between two scans with the same seed.
VARYING = ("seconds", "date")


@dataclass(frozen=True)
class Stability:
    """The scans of one model with several seeds.

    Attributes
    ----------
    verdicts, named
        How often each verdict was given and each set of targets named, most frequent first.
    agreeing
        Scans with the most frequent verdict.
    right
        Scans that named all true targets of a backdoored model and no other.
    false_alarms
        Of a clean one.
    differences
        What differs between two scans with the same seed; None where there was one.
    """

    model: str
    verdicts: Mapping[str, int]
    named: Mapping[tuple[int, ...], int]
    agreeing: Share
    right: Share
    false_alarms: Share
    differences: tuple[str, ...] | None = None


def stability(
    records: Iterable[Record], again: Mapping[str, tuple[Record, Record]] | None = None
) -> list[Stability]:
    """Return one row per model, in the order of the records.

    Parameters
    ----------
    again
        By model, two records with the same seed.
    """
    models: dict[str, list[Record]] = {}
    for record in records:
        models.setdefault(record["model"], []).append(record)
    pairs = again or {}
    return [
        _of_model(model, scans, differences(*pairs[model]) if model in pairs else None)
        for model, scans in models.items()
    ]


def _of_model(
    model: str, records: Sequence[Record], differences: tuple[str, ...] | None
) -> Stability:
    verdicts = Counter(record["scan"]["verdict"] for record in records)
    targets = Counter(tuple(named(record)) for record in records)
    bad = [record for record in records if record["targets"]]
    good = [record for record in records if not record["targets"]]
    return Stability(
        model=model,
        verdicts=dict(verdicts.most_common()),
        named=dict(targets.most_common()),
        agreeing=Share(max(verdicts.values()), len(records)),
        right=Share(sum(map(right, bad)), len(bad)),
        false_alarms=Share(sum(map(called, good)), len(good)),
        differences=differences,
    )


def differences(one: Record, other: Record) -> tuple[str, ...]:
    """Return the keys in which two records differ, apart from their times.

    Of the scan's report, key by key. Equal to the last digit is meant.

    >>> differences({"scan": {"seed": 0, "seconds": 1.0}}, {"scan": {"seed": 1, "seconds": 2.0}})
    ('seed',)
    """
    first, second = (_compared(record) for record in (one, other))
    keys = dict.fromkeys([*first, *second])
    return tuple(key for key in keys if first.get(key) != second.get(key))


def _compared(record: Record) -> dict[str, str]:
    """Return the values by key as text, in which NaN is equal to itself."""
    everything: dict[str, Any] = {**record, **record["scan"]}
    left_out = ("scan", *VARYING)
    return {key: json.dumps(value) for key, value in everything.items() if key not in left_out}


HEADER = (
    "model",
    "verdicts",
    "targets named",
    "most frequent verdict",
    "right targets and no other",
    "false alarms",
    "same seed again",
)


def cells(row: Stability) -> list[str]:
    """Return the cells of a row in the table."""
    return [
        row.model,
        ", ".join(f"{verdict} {count}" for verdict, count in row.verdicts.items()),
        ", ".join(f"{_classes(found)}: {count}" for found, count in row.named.items()),
        row.agreeing.text(),
        row.right.text(),
        row.false_alarms.text(),
        _again(row.differences),
    ]


def _classes(found: Sequence[int]) -> str:
    return " and ".join(map(str, found)) or "none"


def _again(differences: tuple[str, ...] | None) -> str:
    if differences is None:
        return "–"
    return f"differs: {', '.join(differences)}" if differences else "the same"


def overall(rows: Sequence[Stability]) -> list[str]:
    """Return the results over all models in sentences."""
    scans = Share(sum(row.agreeing.hits for row in rows), sum(row.agreeing.n for row in rows))
    verdicts = Share(sum(len(row.verdicts) == 1 for row in rows), len(rows))
    targets = Share(sum(len(row.named) == len(row.verdicts) == 1 for row in rows), len(rows))
    twice = [row for row in rows if row.differences is not None]
    same = Share(sum(not row.differences for row in twice), len(twice))
    lines = [
        f"Scans with the most frequent verdict of their model: {scans.text()}; scans of one model "
        "hang together, so this interval is too narrow.",
        f"Models with one verdict whatever the seed: {verdicts.text()}.",
        f"Models with one verdict and the same targets whatever the seed: {targets.text()}.",
    ]
    if twice:
        lines.append(
            f"Models for which the same seed gave the same verdict and evidence twice: "
            f"{same.text()}."
        )
    return lines


def markdown(rows: Sequence[Stability]) -> str:
    """Return the table as Markdown, with the results over all models."""
    sentences = "".join(f"\n{line}\n" for line in overall(rows))
    return tables.markdown(HEADER, [cells(row) for row in rows]) + sentences
