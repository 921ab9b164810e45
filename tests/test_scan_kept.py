"""A scan or repair that is killed anywhere goes on to the same result."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import BOUNDS, SIDE, clean_images, toy_network

import undoor
from undoor.classifier import Classifier
from undoor.journal import Journal
from undoor.scan.invert import Schedule, Search
from undoor.scan.kept import about, search
from undoor.scan.meter import Meter
from undoor.scan.report import ScanReport


def toy() -> Classifier:
    network = toy_network(backdoored=True, norm=True)
    return Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)


def told(report: ScanReport) -> dict[str, Any]:
    """All that a report says but how long it took; the triggers too."""
    arrays = [finding.trigger.named_arrays() for finding in report.findings]
    plain = [{key: value.tolist() for key, value in each.items()} for each in arrays]
    return report.to_json() | {"seconds": 0, "triggers": plain}


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
            undoor.scan(toy(), clean_images(12), seed=3, journal=Journal(folder))


def test_any_number_of_steps_kept_gives_the_same_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Journal(tmp_path / "whole")
    expected = told(undoor.scan(toy(), clean_images(12), seed=3, journal=whole))
    assert expected["verdict"] == "backdoored"
    assert expected == told(undoor.scan(toy(), clean_images(12), seed=3))
    for steps in (1, whole.steps - 1):
        folder = tmp_path / str(steps)
        killed_after(steps, folder, monkeypatch)
        assert Journal(folder).steps == steps
        started = time.perf_counter()
        report = undoor.scan(toy(), clean_images(12), seed=3, journal=Journal(folder))
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
            toy(),
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
    facts = [about(Journal(tmp_path), model, images).facts for model, images in pairs]
    assert len(set(facts)) == 3
    assert about(Journal(tmp_path), toy(), clean_images(12)).facts == facts[0]


def test_a_repair_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, clean = toy(), clean_images(12)
    report = undoor.scan(model, clean)
    journal = Journal(tmp_path)
    first = undoor.repair(model, clean, report, journal=journal, suspects=2)
    steps = journal.steps

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(sys.modules["undoor.scan.kept"], "invert", never)
    monkeypatch.setattr(sys.modules["undoor.align.select"], "try_plan", never)
    second = undoor.repair(model, clean, report, journal=journal, suspects=2)
    assert journal.steps == steps
    first.save(tmp_path / "a.safetensors")
    second.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


NETS = """
import sys
sys.path.insert(0, {tests!r})
from tiny import toy_network

def net():
    return toy_network(backdoored=True, norm=True)
"""


def files_for_the_command(folder: Path) -> list[str]:
    """A model and images on disk, and the command that scans them."""
    clean, weights = clean_images(12), toy_network(backdoored=True, norm=True).state_dict()
    save_file(weights, folder / "m.safetensors")
    (folder / "nets.py").write_text(NETS.format(tests=str(Path(__file__).parent)))
    np.savez(folder / "clean.npz", x=clean.images.numpy(), y=clean.labels.numpy())
    command = [sys.executable, "-c", "from undoor.cli import main; main()", "scan"]
    options = {
        "--data": folder / "clean.npz",
        "--architecture": f"{folder / 'nets.py'}:net",
        "--input-shape": f"1,{SIDE},{SIDE}",
    }
    given = [str(part) for pair in options.items() for part in pair]
    return [*command, str(folder / "m.safetensors"), *given]


def run_in(out: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )


def scanned(command: list[str], out: Path) -> dict[str, Any]:
    run = run_in(out, command)
    assert run.returncode == 1, run.stderr
    assert not (out / ".undoor-run").exists()
    assert not (out / ".undoor-lock").exists()
    report = json.loads((out / "scan.json").read_text())
    with np.load(next(out.glob("*.npz"))) as trigger:
        return report | {"seconds": 0, "trigger": {k: trigger[k].tolist() for k in trigger.files}}


def kill_once(command: list[str], out: Path, delay: float) -> bool:
    """Start the scan and kill it after `delay` seconds; whether it was still at work."""
    run = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.DEVNULL)
    time.sleep(delay)
    alive = run.poll() is None
    run.kill()
    run.wait()
    return alive


def identical_after_kills(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Of `kills` scans, each killed once at a random moment and run again: how many were at work
    when they were killed, and how many ended in the report of one that was not killed."""
    command = files_for_the_command(folder)
    started = time.perf_counter()
    expected = scanned(command, folder / "whole")
    whole = time.perf_counter() - started
    draw = random.Random(seed)
    alive = same = 0
    for index in range(kills):
        out = folder / f"out{index}"
        alive += kill_once(command, out, draw.uniform(0, whole))
        same += scanned(command, out) == expected
    return alive, same


def test_killed_at_random_moments(tmp_path: Path) -> None:
    _, same = identical_after_kills(tmp_path, kills=1, seed=1)
    assert same == 1


@pytest.mark.slow
def test_killed_fifty_times(tmp_path: Path) -> None:
    alive, same = identical_after_kills(tmp_path, kills=50, seed=0)
    assert alive >= 40
    assert same == 50


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    from filelock import FileLock

    command = files_for_the_command(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".undoor-lock"):
        run = run_in(out, command)
    assert run.returncode == 2
    assert "another run of undoor is at work there" in run.stderr.replace("\n", " ")
