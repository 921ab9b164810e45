"""Other seeds, the same seed."""

from __future__ import annotations

import copy
import csv
import json
import math

import pytest
from typer.testing import CliRunner

from bench_helpers.fakes import FakeZoo, clean_record, record
from undoor_bench.cli import app
from undoor_bench.seeds import cells, differences, markdown, overall, stability
from undoor_bench.share import Share


def test_verdicts_are_counted_model_by_model() -> None:
    records = [
        record(model="a"),
        clean_record(model="b"),
        record(model="a", called=(), verdict="inconclusive"),
        clean_record(model="b", verdict="backdoored", called=(1,)),
        record(model="a", called=(2, 3)),
        clean_record(model="b"),
    ]
    one, two = stability(records)
    assert dict(one.verdicts) == {"backdoored": 2, "inconclusive": 1}
    assert dict(one.named) == {(2,): 1, (): 1, (2, 3): 1}
    assert (one.agreeing, one.right, one.false_alarms) == (Share(2, 3), Share(1, 3), Share(0, 0))
    assert (two.agreeing, two.right, two.false_alarms) == (Share(2, 3), Share(0, 0), Share(1, 3))
    assert cells(two)[:3] == ["b", "clean 2, backdoored 1", "none: 2, 1: 1"]
    assert (
        "Scans with the most frequent verdict of their model: 4/6 (22 to 96 %)"
        in overall([one, two])[0]
    )
    assert markdown([one, two]).startswith("| model | verdicts |")


def test_the_same_verdict_for_other_reasons() -> None:
    """Models that name another target with another seed are told from those that do not."""
    rows = stability([record(model="a"), record(model="a", called=(1,)), record(model="b")])
    assert [line for line in overall(rows) if line.startswith("Models")] == [
        "Models with one verdict whatever the seed: 2/2 (16 to 100 %).",
        "Models with one verdict and the same targets whatever the seed: 1/2 (1 to 99 %).",
    ]


def test_only_seconds_may_differ() -> None:
    one = record()
    other = copy.deepcopy(one)
    other["scan"]["seconds"] = 99.0
    assert differences(one, other) == ()
    other["scan"]["evidence"][1]["size"] = math.nextafter(9.0, 10)
    assert differences(one, other) == ("evidence",)
    other["scan"]["verdict"] = "clean"
    assert differences(one, other) == ("verdict", "evidence")
    del other["scan"]["evidence"]
    assert differences(other, one) == ("verdict", "evidence")


def test_no_number_is_equal_to_itself() -> None:
    one = record(sizes=(math.nan, 1.0))
    assert differences(one, copy.deepcopy(one)) == ()


def test_what_differs_is_told() -> None:
    same, other = record(model="a"), record(model="b")
    changed = record(model="b", called=())
    rows = stability([same, other], {"a": (same, same), "b": (other, changed)})
    assert [cells(row)[-1] for row in rows] == ["the same", "differs: targets"]
    assert overall(rows)[-1].endswith("twice: 1/2 (1 to 99 %).")
    assert cells(stability([same])[0])[-1] == "–"


def test_command(zoo: FakeZoo) -> None:
    zoo.verdicts = {2: "backdoored"}
    arguments = zoo.arguments("seeds", "--images", 2, "--seeds", 4, "--only", "m", "--only", "c")
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert zoo.scans == [(6, seed) for seed in range(4)] * 2
    assert "| m | clean 3, backdoored 1 |" in (zoo.out / "seeds.md").read_text()
    lines = list(csv.DictReader((zoo.out / "seeds.csv").read_text().splitlines()))
    assert [line["image_seed"] for line in lines] == list("0123") * 2
    document = json.loads(result.stdout)
    assert (len(document["models"]), document["again"]) == (8, [])
    CliRunner().invoke(app, arguments)
    assert len(zoo.scans) == 8


def test_the_same_images(zoo: FakeZoo) -> None:
    """Seed 0 is the same scan either way; the others are kept apart."""
    arguments = zoo.arguments("seeds", "--images", 2, "--seeds", 2, "--only", "m")
    for more in ([], ["--same-images"]):
        result = CliRunner().invoke(app, [*arguments, *more])
        assert result.exit_code == 0, result.output
    assert zoo.scans == [(6, 0), (6, 1), (6, 1)]
    for name, drawn in (("seeds", "01"), ("seeds_same_images", "00")):
        lines = csv.DictReader((zoo.out / f"{name}.csv").read_text().splitlines())
        assert [(line["image_seed"], line["scan_seed"]) for line in lines] == [
            (drawn[0], "0"),
            (drawn[1], "1"),
        ]


@pytest.mark.parametrize(("later", "code", "said"), [(2.0, 0, "2/2"), (2.5, 4, "0/2")])
def test_the_same_seed_twice(zoo: FakeZoo, later: float, code: int, said: str) -> None:
    arguments = zoo.arguments("seeds", "--seeds", 2, "--only", "m", "--only", "c")
    CliRunner().invoke(app, arguments)
    zoo.size = later
    result = CliRunner().invoke(app, [*arguments, "--repeat"])
    assert result.exit_code == code, result.output
    assert zoo.scans[4:] == [(60, 0), (60, 0)]
    assert f"same verdict and evidence twice: {said}" in (zoo.out / "seeds.md").read_text()
    assert ("differs: evidence" in (zoo.out / "seeds.md").read_text()) == bool(code)
