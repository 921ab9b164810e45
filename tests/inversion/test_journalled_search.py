"""A scan or repair that is killed anywhere goes on to the same result."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import undoor
from helpers.killing import killed
from helpers.tiny import BOUNDS, SIDE, clean_images, toy_network
from undoor.classifier import Classifier
from undoor.device import CPU, FLOAT32
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Search
from undoor.inversion.journalled_search import about, search
from undoor.inversion.meter import Meter
from undoor.journal import Journal
from undoor.scan.report import ScanReport


def toy() -> Classifier:
    network = toy_network(backdoored=True, norm=True)
    return Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)


def told(report: ScanReport) -> dict[str, Any]:
    """All that a report says but how long it took; the triggers too."""
    arrays = [finding.trigger.named_arrays() for finding in report.findings]
    plain = [{key: value.tolist() for key, value in each.items()} for each in arrays]
    return report.to_json() | {"seconds": 0, "date": None, "triggers": plain}


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


def killed_after(steps: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count, step = 0, Journal.step

    def counted(self: Journal, *args: Any) -> Any:
        nonlocal count
        if count == steps:
            raise Killed
        count += 1
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "step", counted)
        with pytest.raises(Killed):
            undoor.scan(toy(), clean_images(), journal=Journal(folder))


def test_any_number_of_steps_kept_gives_the_same_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_report: ScanReport
) -> None:
    whole = Journal(tmp_path / "whole")
    expected = told(undoor.scan(toy(), clean_images(), journal=whole))
    assert expected["verdict"] == "backdoored"
    assert expected == told(toy_report)
    for steps in (1, whole.steps - 1):
        folder = tmp_path / str(steps)
        killed_after(steps, folder, monkeypatch)
        assert Journal(folder).steps == steps
        started = time.perf_counter()
        report = undoor.scan(toy(), clean_images(), journal=Journal(folder))
        assert told(report) == expected
        # What the killed run took is counted.
        assert report.seconds > time.perf_counter() - started


@pytest.mark.parametrize("family", ["patch", "frequency", "warp", "tone", "generator"])
def test_a_search_goes_on_from_its_middle(tmp_path: Path, family: str) -> None:
    """Killed before and after the candidates are narrowed; to the last bit the same."""
    clean = clean_images(12)
    others = (clean.labels != 2).nonzero()[:, 0]
    searches = [Search(2, others)] * 3 + [Search(1, others)] * 2
    schedule = Schedule(steps=30, batch=4, success=0.5, trial=10, keep=2)

    def run(journal: Journal | None, dies: int = 0) -> tuple[Meter, torch.Generator, list[Any]]:
        def progress(stage: str, done: int, total: int) -> None:
            if done == dies:
                raise Killed

        generator, meter = torch.Generator().manual_seed(1), Meter()
        found = search(
            toy().counted(meter),
            clean.images,
            searches,
            family=family,
            schedule=schedule,
            generator=generator,
            journal=journal,
            meter=meter,
            progress=progress,
        )
        told = [(c.target, c.size, c.asr, c.trigger.named_arrays()) for c in found]
        return meter, generator, told

    expected_meter, expected_generator, expected = run(None)
    journal = Journal(tmp_path, every=0.0)
    for dies in (5, 11, 26):
        with pytest.raises(Killed):
            run(journal, dies)
        assert not journal.empty
    meter, generator, found = run(journal)
    np.testing.assert_equal(found, expected)
    assert meter.passes == expected_meter.passes
    assert torch.equal(generator.get_state(), expected_generator.get_state())


def test_other_images_and_models_are_other_steps(tmp_path: Path) -> None:
    clean, twin = clean_images(12), toy_network(backdoored=False, norm=True)
    other = Classifier(twin, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)
    pairs = [(toy(), clean), (other, clean), (toy(), clean_images(12, seed=5))]
    facts = [
        about(Journal(tmp_path), model.fingerprint(), images, CPU).facts for model, images in pairs
    ]
    assert len(set(facts)) == 3
    assert about(Journal(tmp_path), toy().fingerprint(), clean_images(12), CPU).facts == facts[0]


def test_another_arithmetic_is_another_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found in bfloat16 is no part of a run in float32."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.delenv(FLOAT32, raising=False)
    fast = about(Journal(tmp_path), toy().fingerprint(), clean_images(12), CPU).facts
    monkeypatch.setenv(FLOAT32, "1")
    assert about(Journal(tmp_path), toy().fingerprint(), clean_images(12), CPU).facts != fast


def test_a_repair_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_report: ScanReport
) -> None:
    model, clean = toy(), clean_images(12)
    journal = Journal(tmp_path)
    first = undoor.repair(model, clean, toy_report, journal=journal, suspects=2)
    steps = journal.steps

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(sys.modules["undoor.inversion.journalled_search"], "invert", never)
    monkeypatch.setattr(sys.modules["undoor.align.select"], "try_plan", never)
    second = undoor.repair(model, clean, toy_report, journal=journal, suspects=2)
    assert journal.steps == steps
    first.save(tmp_path / "a.safetensors")
    second.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Scans as processes, ended by SIGKILL."""
    kills = killed(tmp_path, count=1, seed=1)
    assert all(kill.identical for kill in kills), kills
    assert any(kill.at_work for kill in kills)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["scan", "repair"])
def test_killed_fifty_times(tmp_path: Path, command: str) -> None:
    kills = killed(tmp_path, 50, 0, command)
    assert [kill for kill in kills if not kill.identical] == []
    assert sum(kill.at_work for kill in kills) >= 40
