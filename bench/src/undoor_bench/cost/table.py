"""The records of `undoor-bench cost` as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from undoor_bench.records import Record, named
from undoor_bench.tables import markdown

HEADER = (
    "model",
    "classes",
    "true targets",
    "undoor passes",
    "seconds",
    "verdict",
    "named",
    "mask inversion passes",
    "seconds",
    "flagged",
    "measured",
    "ratio of passes",
)
MEAN_HEADER = (
    "classes",
    "models",
    "undoor passes",
    "seconds",
    "mask inversion passes",
    "seconds",
    "ratio of passes",
)


@dataclass(frozen=True)
class Mean:
    """The means over all models with the same number of classes.

    `inversion` is a lower bound where classes were cut off.
    """

    classes: int
    models: int
    undoor_passes: float
    undoor_seconds: float
    inversion_passes: float
    inversion_seconds: float


def flat(record: Record) -> dict[str, object]:
    """Return a line of the CSV."""
    scan, masks = record["scan"], record["mask_inversion"]["total"]
    return {
        **{name: record[name] for name in ("model", "attack", "data", "network", "classes")},
        "took": record["took"],
        "images_a_class": record["per_class"],
        "targets": _numbers(record["targets"]),
        "undoor_passes": scan["passes"],
        "undoor_seconds": f"{scan['seconds']:.1f}",
        "verdict": scan["verdict"],
        "named": _numbers(named(record)),
        "inversion_passes_measured": masks["passes_measured"],
        "inversion_seconds_measured": f"{masks['seconds_measured']:.1f}",
        "inversion_passes_low": round(masks["passes_low"]),
        "inversion_passes_high": round(masks["passes_high"]),
        "inversion_seconds_low": f"{masks['seconds_low']:.1f}",
        "inversion_seconds_high": f"{masks['seconds_high']:.1f}",
        "how": masks["how"],
        "flagged": "unknown" if masks["flagged"] is None else _numbers(masks["flagged"]),
        "ratio_of_passes": f"{masks['passes_low'] / scan['passes']:.2f}",
    }


def cells(record: Record) -> list[str]:
    """Return a line of the table; ratios count cut-off classes as what they spent."""
    scan, masks = record["scan"], record["mask_inversion"]["total"]
    return [
        record["model"],
        str(record["classes"]),
        _numbers(record["targets"]) or "–",
        f"{scan['passes']:,}",
        f"{scan['seconds']:.0f}",
        scan["verdict"],
        _numbers(named(record)) or "–",
        _range(masks["passes_low"], masks["passes_high"]),
        _range(masks["seconds_low"], masks["seconds_high"]),
        "unknown" if masks["flagged"] is None else _numbers(masks["flagged"]) or "–",
        f"{masks['how']} ({masks['passes_measured']:,} passes)",
        f"{masks['passes_low'] / scan['passes']:.1f}",
    ]


def means(records: Iterable[Record]) -> list[Mean]:
    """Return the means for each number of classes, in order."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        groups.setdefault(record["classes"], []).append(record)
    return [_mean(classes, groups[classes]) for classes in sorted(groups)]


def report(records: Sequence[Record]) -> str:
    """Return both tables as Markdown: every model, and means over models with as many classes."""
    short = [
        [
            str(mean.classes),
            str(mean.models),
            f"{mean.undoor_passes:,.0f}",
            f"{mean.undoor_seconds:,.0f}",
            f"{mean.inversion_passes:,.0f}",
            f"{mean.inversion_seconds:,.0f}",
            f"{mean.inversion_passes / mean.undoor_passes:.1f}",
        ]
        for mean in means(records)
    ]
    return markdown(HEADER, map(cells, records)) + "\n" + markdown(MEAN_HEADER, short)


def _mean(classes: int, records: Sequence[Record]) -> Mean:
    scans = [record["scan"] for record in records]
    masks = [record["mask_inversion"]["total"] for record in records]
    count = len(records)
    return Mean(
        classes=classes,
        models=count,
        undoor_passes=sum(scan["passes"] for scan in scans) / count,
        undoor_seconds=sum(scan["seconds"] for scan in scans) / count,
        inversion_passes=sum(mask["passes_low"] for mask in masks) / count,
        inversion_seconds=sum(mask["seconds_low"] for mask in masks) / count,
    )


def _numbers(values: Iterable[int]) -> str:
    return " ".join(map(str, values))


def _range(low: float, high: float) -> str:
    return f"{low:,.0f}" if round(low) == round(high) else f"{low:,.0f} to {high:,.0f}"
