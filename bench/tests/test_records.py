"""Records of scans: written once, read again, never taken for another's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import undoor
from bench_helpers.fakes import FakeZoo, clean_record, record
from undoor.errors import UndoorError
from undoor_bench.amount import Amount
from undoor_bench.records import (
    Setting,
    called,
    flat,
    flat_with_setting,
    named,
    recorded_scan,
    recorded_scans,
    right,
    source_precision,
)
from undoor_bench.zoo.subjects import Subject, subjects

SETTING = Setting(Amount(2), image_seed=0, scan_seed=5)


@pytest.fixture
def subject(zoo: FakeZoo) -> Subject:
    return list(subjects(zoo.folder))[1]


def test_a_record_is_kept(zoo: FakeZoo, subject: Subject, tmp_path: Path) -> None:
    file = tmp_path / "new" / "m.json"
    made = recorded_scan(subject, zoo.data, file, SETTING)
    assert json.loads(file.read_text()) == made
    assert made["drawn"] == {"images": 6, "least": 2, "most": 2}
    assert recorded_scan(subject, zoo.data, file, SETTING) == made
    assert zoo.scans == [(6, 5)]
    assert [path.name for path in file.parent.iterdir()] == ["m.json"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (Setting(Amount(3), 0, 5), "amount '2 a class' instead of '3 a class'"),
        (Setting(Amount(2), 1, 5), "image_seed 0 instead of 1"),
        (Setting(Amount(2), 0, 0), "scan_seed 5 instead of 0"),
    ],
)
def test_another_scan_is_not_taken_for_it(
    zoo: FakeZoo, subject: Subject, tmp_path: Path, setting: Setting, message: str
) -> None:
    recorded_scan(subject, zoo.data, tmp_path / "m.json", SETTING)
    with pytest.raises(UndoorError, match=message):
        recorded_scan(subject, zoo.data, tmp_path / "m.json", setting)
    assert len({SETTING.folder, setting.folder}) == 2


def test_older_records_are_read(subject: Subject, tmp_path: Path) -> None:
    """They have the images a class beside the scan with its one seed."""
    old = {"model": "m", "per_class": 30, "scan": {"seed": 1}}
    (tmp_path / "m.json").write_text(json.dumps(old))
    same = Setting(Amount(30), image_seed=1, scan_seed=1)
    assert recorded_scan(subject, tmp_path, tmp_path / "m.json", same) == old
    with pytest.raises(UndoorError, match="instead of"):
        recorded_scan(subject, tmp_path, tmp_path / "m.json", SETTING)


@pytest.mark.parametrize("text", ["{", "[]", "[1]", "{}", '{"model": "m", "scan": {}}'])
def test_broken_record(subject: Subject, tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(UndoorError, match="not a record of a scan"):
        recorded_scan(subject, tmp_path, tmp_path / "m.json", SETTING)


def test_nothing_is_left_of_a_scan_that_fails(
    zoo: FakeZoo, subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoor, "scan", None)
    with pytest.raises(TypeError):
        recorded_scan(subject, zoo.data, tmp_path / "new" / "m.json", SETTING)
    assert not list(tmp_path.glob("new/*"))


def test_every_model_in_every_setting(zoo: FakeZoo) -> None:
    settings = [Setting(Amount(n), seed, seed) for n, seed in ((1, 0), (2, 0), (2, 4))]
    told: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int, /) -> None:
        told.append((stage, done, total))

    models = list(subjects(zoo.folder))
    made = recorded_scans(models, settings, zoo.data, zoo.out, progress=progress)
    assert [r["model"] for r in made] == ["c"] * 3 + ["m"] * 3 + ["n"] * 3
    assert zoo.scans == [(3, 0), (6, 0), (6, 4)] * 3
    assert told == [("scans", done, 9) for done in range(10)]
    next(zoo.out.glob("2_a_class/seed_4/n.json")).unlink()
    again = recorded_scans(models, settings, zoo.data, zoo.out)
    assert again[:-1] == made[:-1]
    assert zoo.scans[9:] == [(6, 4)]


def test_answers() -> None:
    two = record(targets=(3, 2), called=(2, 3))
    assert (called(two), named(two), right(two)) == (True, [2, 3], True)
    assert not right(record(called=(2, 3)))
    assert not right(record(called=()))
    assert not called(clean_record())


def test_flat() -> None:
    line = flat(record(targets=(1, 2), called=(2,)))
    assert (line["model"], line["targets"], line["named"]) == ("m", "1 2", "2")
    assert flat(clean_record())["asr"] == ""
    assert flat_with_setting(record(seed=3))["scan_seed"] == 3


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"sources": ((0, 1),), "named": (0, 1)}, 1.0),
        ({"sources": ((1,),), "named": (0, 1, 3, 4)}, 0.25),
        ({"sources": ((1,),), "named": (3,)}, 0.0),
        ({"sources": ((1,),), "called": ()}, None),  # no target named
        ({"sources": ((1,),), "called": (4,)}, None),  # nor a true one
        ({"sources": ()}, None),  # sources unknown
    ],
)
def test_source_precision(changes: dict[str, object], share: float | None) -> None:
    made = record(**changes)  # type: ignore[arg-type]
    assert source_precision(made) == share
    assert flat(made)["source_precision"] == ("" if share is None else f"{share:.3f}")
