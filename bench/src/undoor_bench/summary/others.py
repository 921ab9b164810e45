"""Sentences and tables of single measurements, from their committed JSON files."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from undoor_bench.share import Share
from undoor_bench.summary.committed import document
from undoor_bench.tables import markdown


def false_alarms(folder: Path) -> str:
    """Return the table of the costs of repairing a class without a backdoor."""
    groups: dict[str, list[float]] = defaultdict(list)
    for item in document(folder / "false_alarm/false_alarm.json")["measured"]:
        groups[item["images"]].append(100 * (item["acc_before"] - item["acc_after"]))
    return markdown(
        ("clean images", "measurements", "points of ACC lost, mean", "at most"),
        [
            [amount, str(len(each)), f"{sum(each) / len(each):.2f}", f"{max(each):.2f}"]
            for amount, each in groups.items()
        ],
    )


def scrutiny(folder: Path) -> str:
    """Models that are not wrapped, of which a reason was given all the same."""
    data = document(folder / "scrutiny/scrutiny.json")
    share = Share(data["false_reasons"], data["models"]).text()
    return (
        f"Models without a wrapper that got a reason: {share}; {data['median_seconds']:.1f} s "
        f"(median) and at most {data['most_passes']} sample passes per model.\n"
    )


def kills(folder: Path) -> str:
    """Return the table of runs that were killed and resumed."""
    rows: list[list[str]] = []
    for name, what in (("kills", "scans"), ("kills_repair", "repairs")):
        data: dict[str, Any] = document(folder / f"{name}.json")
        rows.append([what, str(data["kills"]), str(data["identical"])])
    return markdown(("killed", "runs", "with the same result"), rows)


def fit_times(folder: Path) -> str:
    """Return the table of seconds of the guard, and of the fits on the same images and trigger."""
    records = [document(folder / f"align_{name}.json") for name in ("resnet18", "wrn16_1")]
    guard = document(folder / "guard_wrn16_1.json")
    rows = [
        [
            item["model"],
            str(item["images"]),
            *(f"{item['seconds'][name]:.2f}" for name in ("bare forward", "onepass")),
            *(f"{item['seconds'][name]:.0f}" for name in ("paper", "reference")),
        ]
        for item in records
    ]
    header = ("network", "images", "forward pass s", "onepass s", "paper s", "reference s")
    return (
        f"{markdown(header, rows)}\nThe guard takes {guard['guarded_over_bare']:.2f} times the "
        f"model's own time on clean images ({guard['model']}, {guard['repeats']} rounds).\n"
    )
