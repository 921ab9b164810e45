"""The tables of models of the repository."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from undoor.families.calibration import calibrated_on
from undoor_bench.summary.committed import lines
from undoor_bench.zoo.derived import derivation
from undoor_bench.zoo.entries import ZooModel, read_table
from undoor_bench.zoo.scenes import SCENES

ZOO = Path(__file__).parents[3] / "zoo"
RESULTS = ZOO.parent / "bench/results"


def test_the_table_of_the_repository() -> None:
    """As many models as a calibration needs, every attack among them, no name twice."""
    entries = read_table(ZOO / "table.toml")
    assert len(entries) >= 40
    assert len({entry.name for entry in entries}) == len(entries)
    assert sum(entry.attack == "clean" for entry in entries) >= 16
    assert not any(entry.variant.to_json() for entry in entries)
    more = read_table(ZOO / "ablations.toml")
    assert {entry.attack for entry in (*entries, *more)} == set(SCENES)
    for attack in ("wanet", "blend", "sig", "input_aware"):
        assert sum(e.attack == attack and e.data == "cifar10" for e in entries) >= 5


def kinds_of(entry: ZooModel) -> set[str]:
    """What is special about an entry: its settings, its data set's derivations, its head."""
    name, found = entry.data, set(entry.training.to_json())
    while made := derivation(name):
        found.add(name.removeprefix(f"{made[0]}_").split("_")[0])
        name = made[0]
    if entry.network == "MobileNet" or entry.training.pool == "average":
        found.add("average")
    return found


def class_count(entry: ZooModel) -> int:
    """Of the data set, without its files; names of classes that are not there are refused."""
    name, steps = entry.data, []
    while made := derivation(name):
        name, step = made
        steps.append(step)
    y = np.arange({"mnist": 10, "cifar10": 10, "gtsrb": 43}[name]).repeat(50)
    for step in reversed(steps):
        y = step(np.zeros((len(y), 2, 2, 3), np.uint8), y)[1]
    return len(np.unique(y))


def test_the_table_of_many_kinds() -> None:
    """Clean models that calibrate, several of each kind; none has a name that another table has."""
    entries = read_table(ZOO / "kinds.toml")
    assert all(entry.attack == "clean" and entry.calibrate for entry in entries)
    others = [e.name for file in ("table", "few") for e in read_table(ZOO / f"{file}.toml")]
    assert len({entry.name for entry in entries} - set(others)) == len(entries) >= 44
    kinds = Counter(kind for entry in entries for kind in kinds_of(entry))
    assert kinds["average"] >= 12
    assert kinds["classes"] >= 12
    settings = {"imbalance", "label_noise", "share", "augment", "weight_decay", "width"}
    assert all(kinds[kind] >= 2 for kind in {*settings, "pairs", "background"})
    assert kinds["cast"] + kinds["mark"] >= 2
    counts = Counter(map(class_count, entries))
    assert min(counts[2], counts[3], counts[5]) >= 4
    assert min(counts[20], counts[100]) >= 2


def test_the_table_of_few_classes() -> None:
    """Twenty clean and twenty backdoored models of seeds of their own to report on, beside those
    that calibrate, all of fewer than five classes."""
    every = read_table(ZOO / "few.toml")
    assert len({entry.seed for entry in every}) == len(every)
    entries = [entry for entry in every if not entry.calibrate]
    assert len(entries) == 40
    assert sum(entry.attack == "clean" for entry in entries) == 20
    assert set(map(class_count, entries)) == {2, 3, 5}
    assert {class_count(entry) for entry in every if entry.calibrate} == {2, 3, 4}
    learned = [*read_table(ZOO / "kinds.toml"), *(entry for entry in every if entry.calibrate)]
    assert not seeds_of(learned) & seeds_of(entries)


@pytest.mark.parametrize("name", ["fresh", "unseen"])
def test_a_table_to_report_on(name: str) -> None:
    """No seed is that of another table, and all attacks are there, at many rates, on average-pooled
    networks above all. Of the first one, and of part of the second, the method has seen what they
    showed."""
    entries = read_table(ZOO / f"{name}.toml")
    assert {entry.calibrate for entry in entries} == ({True} if name == "fresh" else {True, False})
    assert len({entry.seed for entry in entries}) == len(entries)
    tables = {"table", "kinds", "few", "fresh", "unseen"} - {name}
    others = [e for table in tables for e in read_table(ZOO / f"{table}.toml")]
    assert not seeds_of(others) & seeds_of(entries)
    planted = [entry for entry in entries if entry.attack != "clean"]
    assert len(planted) >= 40
    assert {entry.attack for entry in planted} == set(SCENES) - {"clean"}
    rates = {entry.variant.rate for entry in planted}
    assert rates >= {0.005, 0.01, 0.1}
    pooled = [e for e in planted if e.training.pool == "average" or e.network == "MobileNet"]
    assert len(pooled) >= len(planted) / 2


def test_what_is_reported_last_calibrates_nothing() -> None:
    reported = {line["model"] for line in lines(RESULTS / "detect/fourth.csv")}
    assert reported
    assert reported <= {e.name for e in read_table(ZOO / "unseen.toml") if not e.calibrate}
    assert not reported & set(calibrated_on())


def seeds_of(entries: Iterable[ZooModel]) -> set[tuple[str, int]]:
    return {(entry.data, entry.seed) for entry in entries}
