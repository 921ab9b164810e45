"""Tables of what a scan costs."""

from __future__ import annotations

from bench_helpers.cost_records import record
from undoor_bench.cost.table import HEADER, cells, flat, means, report


def test_a_line_a_model() -> None:
    line = dict(zip(HEADER, cells(record()), strict=True))
    assert len(HEADER) == len(cells(record()))
    assert (line["true targets"], line["named"], line["flagged"]) == ("2", "2", "–")
    assert line["mask inversion passes"] == "1,200"
    assert line["ratio of passes"] == "12.0"
    assert line["measured"] == "measured all 3 classes (1,200 passes)"


def test_what_is_not_known_is_said() -> None:
    """Ratios count what was spent for sure."""
    some = flat(record(classes=30))
    assert some["flagged"] == "unknown"
    assert some["inversion_passes_low"] == some["inversion_passes_high"] == 12_000
    cut = cells(record(stopped="cut off"))
    assert "1,200 to 3,000" in cut
    assert cut[-1] == "12.0"
    assert "3 cut off" in cut[-2]


def test_means_by_classes() -> None:
    few, many = means([record(classes=30), record(), record(passes=300)])
    assert (few.classes, few.models, few.undoor_passes) == (3, 2, 200)
    assert (many.classes, many.models, many.inversion_passes) == (30, 1, 12_000)
    assert (few.undoor_seconds, few.inversion_seconds) == (5, 24)


def test_report() -> None:
    text = report([record(), record("n", classes=30)])
    models, by_classes = text.split("\n\n")
    assert models.count("\n") == 3
    assert by_classes.splitlines()[2] == "| 3 | 1 | 100 | 5 | 1,200 | 24 | 12.0 |"
