"""Going on with an earlier run, and bounds on memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.cli_fakes import Cli
from helpers.tiny import clean_images, toy_classifier
from undoor import device
from undoor.cli.output import JOURNAL
from undoor.cli.runs import RunOptions, resume, size
from undoor.device import CPU, FLOAT32, fast_bfloat16
from undoor.errors import UndoorError
from undoor.journal import Journal
from undoor.passes import Capacity


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Of a run that ended after one step."""
    journal = Journal(tmp_path / "out" / JOURNAL)
    resume(journal, toy_classifier(backdoored=True), clean_images(), {"alpha": 0.02})
    journal.step("x", lambda _: {"a": np.arange(3)})
    return journal


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_nothing_to_go_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, clean = toy_classifier(backdoored=True), clean_images()
    resume(None, model, clean, {})
    resume(Journal(tmp_path / JOURNAL), model, clean, {})
    assert told(capsys) == ""


def test_the_same_again(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    resume(journal, toy_classifier(backdoored=True), clean_images(), {"alpha": 0.02})
    said = told(capsys)
    assert "resuming the earlier run in" in said
    assert "1 finished step is used again" in said
    assert journal.steps == 1


def test_other_options(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    resume(journal, toy_classifier(backdoored=True), clean_images(), {"alpha": 0.01})
    assert "had other options" in told(capsys)
    assert journal.steps == 1


@pytest.mark.parametrize("other", ["model", "images"])
def test_another_model_or_images(
    journal: Journal, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = toy_classifier(backdoored=other != "model")
    clean = clean_images(seed=int(other == "images"))
    resume(journal, model, clean, {"alpha": 0.02})
    assert f"did not have the same {other}; starting over" in told(capsys)
    assert journal.empty


def test_another_arithmetic(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the same machine, once with and once without `UNDOOR_FLOAT32`."""
    fast = fast_bfloat16(CPU)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: not fast)
    monkeypatch.delenv(FLOAT32, raising=False)
    resume(journal, toy_classifier(backdoored=True), clean_images(), {"alpha": 0.02})
    assert "did not have the same arithmetic; starting over" in told(capsys)
    assert journal.empty


def test_another_device(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device, "described", lambda _: "cuda (another)")
    resume(journal, toy_classifier(backdoored=True), clean_images(), {"alpha": 0.02})
    assert "did not have the same device; starting over" in told(capsys)
    assert journal.empty


@pytest.mark.parametrize("damage", ["", "[]", "{"])
def test_a_damaged_description(
    journal: Journal, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (journal.folder / "run.json").write_text(damage)
    resume(journal, toy_classifier(backdoored=True), clean_images(), {"alpha": 0.02})
    assert "starting over" in told(capsys)
    assert journal.empty


@pytest.mark.parametrize("text", ["", "much", "-2GB", "2 GX", "nan"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UndoorError, match="--memory: expected a size such as 2GB"):
        size(text)


def test_memory_bounds_the_classifier(cli: Cli) -> None:
    seen: list[Capacity | None] = []
    cli.during_scan = lambda classifier, clean: seen.append(classifier.capacity)
    assert cli.scan("--memory", "64GB").exit_code == 1
    assert cli.scan().exit_code == 1
    assert seen[0] is not None
    assert seen[0].learning > 1
    assert seen[0].inference > 1
    assert seen[1] is None


@pytest.mark.parametrize("command", ["scan", "repair"])
def test_too_little_memory_is_refused_before_any_work(cli: Cli, command: str) -> None:
    result = getattr(cli, command)("--memory", "10MB")
    assert result.exit_code in (3, 4)
    assert "--memory: expected" in result.stderr
    assert "expected at least" in result.stderr
    assert "10 MB" in result.stderr
    assert cli.calls == []
    assert not cli.out.exists()


def test_a_gpu_is_bounded_by_what_is_free_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --memory too; what this process holds of the computer's memory does not matter."""
    model, clean = toy_classifier(backdoored=True), clean_images()
    free = {"cpu": 2**30}
    monkeypatch.setattr(device, "free_memory", lambda each: free[each.type])
    monkeypatch.setattr(device, "held_memory", lambda each: 0)
    usual = RunOptions().bounded(model, clean).capacity
    assert usual is not None
    asked = RunOptions(memory="900MB").bounded(model, clean).capacity
    assert asked is not None
    assert asked.learning <= usual.learning
    assert RunOptions(memory="64GB").bounded(model, clean).capacity is not None
    free["cpu"] = 2**20
    for options in (RunOptions(), RunOptions(memory="64GB")):
        with pytest.raises(UndoorError, match=r"expected at least [\d,]+ MB for this model"):
            options.bounded(model, clean)


def test_what_is_refused_names_what_would_do(cli: Cli) -> None:
    model, clean = toy_classifier(backdoored=True), clean_images()
    options = RunOptions(memory="10MB")
    with pytest.raises(UndoorError) as refused:
        options.bounded(model, clean, fit=True)
    least = str(refused.value).split("at least ")[1].split(" for ")[0].replace(",", "")
    assert replace(options, memory=least).bounded(model, clean, fit=True).capacity is not None
