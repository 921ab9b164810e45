"""Who gets which images, and a scan for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import undoor
from bench_helpers.mitigate_work import toy_case
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.scan.report import ScanReport
from undoor.triggers import Stamp
from undoor_bench.amount import Amount
from undoor_bench.mitigate import case as mitigate_case
from undoor_bench.mitigate.case import divided, open_case
from undoor_bench.records import Setting
from undoor_bench.zoo.planted import Planted
from undoor_bench.zoo.subjects import PUBLIC, Subject


def subject(folder: Path, data: str = "mnist", network: str = "VGG") -> Subject:
    return Subject(folder, data, "badnets", network, (2,), ((0, 1),), 1.0, True)


def setting(number: int, seed: int = 0) -> Setting:
    return Setting(Amount(number), seed, seed)


def write(file: Path, **splits: int) -> Path:
    """Images of three classes, no two alike in all splits: their bytes count up."""
    arrays: dict[str, Any] = {}
    start = 0
    for split, count in splits.items():
        number = np.arange(start, start + count)
        pixels = np.stack([number // 256, number % 256, 0 * number], 1).astype(np.uint8)
        arrays[f"x_{split}"] = np.tile(pixels[:, None, None], (1, 4, 4, 1))
        arrays[f"y_{split}"] = np.arange(count) % 3
        start += count
    np.savez(file, **arrays)
    return file


def numbers(clean: CleanSet) -> list[int]:
    pixels = (clean.images[:, :2, 0, 0] * 255).round().long()
    return (256 * pixels[:, 0] + pixels[:, 1]).tolist()


def test_defence_and_test_are_of_the_test_split(tmp_path: Path) -> None:
    file = write(tmp_path / "mnist.npz", train=30, test=60)
    clean, test = divided(subject(tmp_path), setting(4), file)
    assert clean.labels.bincount().tolist() == [4, 4, 4]
    assert sorted(numbers(clean) + numbers(test)) == list(range(30, 90))
    assert numbers(divided(subject(tmp_path), setting(4, 1), file)[0]) != numbers(clean)


def test_models_trained_here_on_cifar10(tmp_path: Path) -> None:
    """The defence has held-out images; all others of both splits serve to measure."""
    file = write(tmp_path / "cifar10.npz", hold=60, test=12)
    clean, test = divided(subject(tmp_path, "cifar10"), setting(4), file)
    assert max(numbers(clean)) < 60
    assert sorted(numbers(clean) + numbers(test)) == list(range(72))
    clean, test = divided(subject(tmp_path, "cifar10", PUBLIC), setting(2), file)
    assert sorted(numbers(clean) + numbers(test)) == list(range(60, 72))


def test_what_is_derived_from_cifar10_has_held_out_images_too(tmp_path: Path) -> None:
    name = "cifar10_classes_0_2"
    write(tmp_path / "cifar10.npz", hold=60, test=12)
    clean, test = divided(subject(tmp_path, name), setting(4), tmp_path / f"{name}.npz")
    assert max(numbers(clean)) < 60
    assert len(numbers(clean) + numbers(test)) == 48


@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_no_more_than_asked_and_the_same_for_all_amounts(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mitigate_case, "MAX_TESTED", 40)
    file = write(tmp_path / f"{data}.npz", hold=120, test=120 if data == "mnist" else 15)
    sets = [numbers(divided(subject(tmp_path, data), setting(n), file)[1]) for n in (1, 5, 20)]
    assert len(set(sets[0])) == 40
    assert sets[0] == sets[1] == sets[2]
    if data == "cifar10":
        assert set(range(120, 135)) <= set(sets[0])


@pytest.mark.parametrize("test", [40, 55])
def test_many_test_images_leave_no_room_for_others(
    test: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mitigate_case, "MAX_TESTED", 40)
    file = write(tmp_path / "cifar10.npz", hold=30, test=test)
    _, rest = divided(subject(tmp_path, "cifar10"), setting(2), file)
    assert numbers(rest) == list(range(30, 70))


def test_nothing_left_to_measure_on(tmp_path: Path) -> None:
    file = write(tmp_path / "mnist.npz", test=12)
    with pytest.raises(UndoorError, match="takes all 12 images of the split test"):
        divided(subject(tmp_path), setting(4), file)


def test_open_case(tmp_path: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backdoors of which no image is left are not measured."""
    write(tmp_path / "mnist.npz", test=60)
    black = Stamp("given", torch.ones(1, 4, 4), torch.zeros(3, 4, 4), "replace", (0.0, 1.0))
    found = (Planted(2, (0, 1), black), Planted(1, (7,), black))
    monkeypatch.setattr(undoor, "load", lambda _: classifier)
    monkeypatch.setattr(mitigate_case, "planted", lambda *_: found)
    case = open_case(subject(tmp_path), setting(5), tmp_path, tmp_path / "scans")
    assert case.backdoors == found[:1]
    (stamped,) = case.triggered
    assert set(stamped.labels.tolist()) == {0, 1}
    assert float(stamped.images.max()) == 0
    assert len(case.clean) + len(case.test) == 60
    assert len(stamped) == int((case.test.labels != 2).sum())


def test_the_scan_is_made_once(
    tmp_path: Path, toy_report: ScanReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def scan(*_: object, seed: int, **__: object) -> ScanReport:
        made.append(seed)
        return toy_report

    monkeypatch.setattr(undoor, "scan", scan)
    case = toy_case(tmp_path / "scans", None)
    first = case.scan()
    # Its seconds are the processor's, and the fake took next to none.
    assert first.seconds < toy_report.seconds
    assert first.to_json() == replace(toy_report, seconds=first.seconds).to_json()
    assert toy_case(tmp_path / "scans", None).scan().to_json() == first.to_json()
    assert made == [0]


def test_scans_of_something_else(tmp_path: Path, toy_report: ScanReport) -> None:
    case = toy_case(tmp_path / "scans", replace(toy_report, seed=3))
    with pytest.raises(UndoorError, match="seed 3 instead of 0"):
        case.scan()
    case = toy_case(tmp_path / "scans", replace(toy_report, fingerprint="f" * 64))
    with pytest.raises(UndoorError, match="scan of another model"):
        case.scan()


def test_every_method_gets_the_same_chance(tmp_path: Path) -> None:
    case = toy_case(tmp_path / "scans", None)
    assert torch.equal(*(torch.rand(3, generator=case.generator()) for _ in range(2)))
