"""What is found by how many clean images there are."""

from __future__ import annotations

import csv
import json
from typing import Any

from typer.testing import CliRunner

from bench_helpers.fakes import FakeZoo, clean_record, record
from undoor_bench.cli import app
from undoor_bench.curve.points import cells, curve, markdown
from undoor_bench.share import Share


def at(amount: str, images: int, found: int, of: int, **more: Any) -> list[dict[str, Any]]:
    """Records of backdoored models, some of which are found."""
    return [
        record(called=(2,) if i < found else (1,), amount=amount, images=images, **more)
        for i in range(of)
    ]


def test_a_point_an_amount_fewest_images_first() -> None:
    records = [
        *at("30 a class", 300, 3, 3),
        *at("0.1 % of training", 45, 1, 3),
        *at("5 a class", 50, 2, 3),
    ]
    points = curve(records)
    assert [point.amount for point in points] == ["0.1 % of training", "5 a class", "30 a class"]
    assert [point.backdoored.right for point in points] == [Share(i, 3) for i in (1, 2, 3)]
    assert [point.backdoored.detected for point in points] == [Share(3, 3)] * 3
    assert cells(points[0])[:4] == ["0.1 % of training", "mnist", "45", "4 to 5"]
    assert markdown(points).count("\n") == 5


def test_backdoored_and_clean_models_are_counted_apart() -> None:
    (point,) = curve(
        [
            record(),
            record(called=(), verdict="inconclusive"),
            record(called=(), verdict="clean", took=False),
            clean_record(),
            clean_record(verdict="backdoored", called=(1,)),
            clean_record(verdict="inconclusive"),
        ]
    )
    assert (point.backdoored.right, point.backdoored.inconclusive) == (Share(1, 2), Share(1, 2))
    assert (point.clean.false_alarms, point.clean.inconclusive) == (Share(1, 3), Share(1, 3))


def test_data_sets_and_all_of_them() -> None:
    records = [
        *at("0.1 % of training", 45, 1, 2, data="cifar10"),
        *at("0.1 % of training", 60, 2, 2, data="mnist"),
    ]
    points = curve(records)
    assert [(p.data, p.images) for p in points] == [
        ("cifar10", (45, 45)),
        ("mnist", (60, 60)),
        ("all", (45, 60)),
    ]
    assert points[-1].backdoored.right == Share(3, 4)
    assert cells(points[-1])[2:4] == ["45 to 60", "4 to 6"]


def test_command(zoo: FakeZoo) -> None:
    """The 4,000 images of the training set: 0.1 % are four, one or two of each of three classes."""
    arguments = zoo.arguments("curve", "--images", "1,2,0.1%", "--only", "m", "--only", "c")
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["models"]) == 6
    assert zoo.scans == [(3, 0), (6, 0), (4, 0)] * 2
    assert "| 0.1 % of training | mnist | 4 | 1 to 2 | 0/1" in (zoo.out / "curve.md").read_text()
    lines = list(csv.DictReader((zoo.out / "curve.csv").read_text().splitlines()))
    assert [(line["model"], line["amount"], line["images"]) for line in lines[:2]] == [
        ("c", "1 a class", "3"),
        ("c", "2 a class", "6"),
    ]
    assert "1 to 2 = 0.1 %" in (zoo.out / "curve.svg").read_text()
    more = CliRunner().invoke(app, [*arguments[:-6], "--images", "1,2,4,0.1%", "--only", "m"])
    assert more.exit_code == 0, more.output
    assert zoo.scans[6:] == [(12, 0)]


def test_wrong_amounts_cost_nothing(zoo: FakeZoo) -> None:
    result = CliRunner().invoke(app, zoo.arguments("curve", "--images", "1,many"))
    assert result.exit_code in (3, 4)
    assert "'many'" in result.stderr
    assert not zoo.scans
