"""Means over models and attacks, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from bench_helpers.mitigate_records import record
from undoor_bench.mitigate.table import (
    AVERAGE,
    HEADER,
    Row,
    cells,
    flat,
    markdown,
    notes,
    summary,
)


def row_of(records: list[dict[str, Any]], attack: str) -> Row:
    (row,) = (row for row in summary(records) if row.attack == attack)
    return row


def test_means_over_models() -> None:
    row = row_of([record(sia=0.8), record(sia=0.6, model="n", missed=(3,))], "badnets")
    assert row.after["sia"] == pytest.approx(0.7)
    assert (row.models, row.failed, row.missed) == (2, 0, 1)
    assert row.before["asr"] == 1.0
    assert row.seconds == 65.0


def test_every_attack_counts_the_same() -> None:
    records = [
        record("badnets", sia=0.9),
        record("badnets", sia=0.7, model="n"),
        record("sig", sia=0.2, model="o", missed=(3,)),
    ]
    row = row_of(records, AVERAGE)
    assert row.after["sia"] == pytest.approx(0.5)
    assert (row.models, row.attacks, row.missed) == (3, 2, 1)
    assert cells(row)[2] == "3 (2 attacks)"


def test_what_could_not_run_is_counted_and_in_no_mean() -> None:
    records = [
        record("badnets", "bn", sia=0.4),
        record("badnets", "bn", model="n", failed="no batch norm"),
        record("sig", "bn", model="o", failed="no batch norm"),
    ]
    row = row_of(records, "badnets")
    assert (row.after["sia"], row.models, row.failed) == (0.4, 1, 1)
    row = row_of(records, "sig")
    assert (row.after["sia"], row.models, row.missed) == (None, 0, None)
    assert "– → –" in cells(row)
    row = row_of(records, AVERAGE)
    assert (row.after["sia"], row.models, row.failed, row.attacks) == (0.4, 1, 2, 1)


def test_order() -> None:
    """All attacks first; fewest images first; ours, then rivals, then what was changed."""
    names = ("strip", "plan: per channel", "bn", "onepass")
    records = [
        record(attack, name, images=images)
        for attack in ("sig", "badnets")
        for images in (1000, 100)
        for name in names
    ]
    rows = summary(records)
    assert list(dict.fromkeys(row.attack for row in rows)) == [AVERAGE, "badnets", "sig"]
    assert [row.amount for row in rows[:8]] == ["10 a class"] * 4 + ["100 a class"] * 4
    assert [row.method for row in rows[:4]] == ["onepass", "bn", "strip", "plan: per channel"]


def test_markdown() -> None:
    text = markdown([record(), record("sig", "true_trigger", sia=0.95, model="o")])
    assert "## all attacks" in text
    assert "## sig" in text
    assert "| 10 a class | true_trigger (oracle) | 1 | 0 | – |" in text
    assert "95.0 → 90.0 | 100.0 → 10.0 | 0.0 → 95.0" in text
    assert all(len(cells(row)) == len(HEADER) for row in summary([record()]))


def test_models_that_the_scan_learned_from_are_named() -> None:
    told = "\n".join(notes([record(model="mnist_VGG_wanet_0"), record(model="other")]))
    assert "1 of the 2 models are among those" in told
    assert "mnist_VGG_wanet_0" in told
    assert "oracle" in told


def test_lines_for_programs() -> None:
    done, failed = flat(record(missed=(3,))), flat(record(name="bn", failed="no batch norm"))
    assert list(done) == list(failed)
    assert (done["sia"], done["sia_low"], done["sia_before"]) == ("0.8000", "0.7000", "0.0000")
    assert (done["missed"], done["plans"], done["scan_seconds"]) == ("3", "3=per_channel", "60.0")
    assert (failed["sia"], failed["failed"], failed["seconds"]) == ("", "no batch norm", "")
