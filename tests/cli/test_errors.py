"""Nonsense gets one line on stderr and exit code 2: never a traceback, never half a document."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from helpers.cli_fakes import Cli, assert_error
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def weights(cli: Cli) -> Path:
    return Path(cli.model).parent / "weights.safetensors"


def data(cli: Cli, **arrays: Any) -> list[str]:
    np.savez(cli.data, **arrays)
    return []


def truncate(cli: Cli) -> list[str]:
    weights(cli).write_bytes(weights(cli).read_bytes()[:100])
    return []


def store(cli: Cli, weight: torch.Tensor) -> list[str]:
    save_file({"1.weight": weight, "1.bias": torch.zeros(len(weight))}, weights(cli))
    return []


def floats(n: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((n, 4, 4, channels), np.float32)


Y = np.arange(12) % 3
CASES: dict[str, tuple[Callable[[Cli], list[str]], str]] = {
    "truncated weights": (truncate, "weights.safetensors"),
    "NaN weights": (lambda cli: store(cli, torch.full((3, 48), torch.nan)), "NaN"),
    "wrong class count": (lambda cli: store(cli, torch.ones(5, 48)), "5"),
    "0..255 for 0..1": (lambda cli: data(cli, x=255 * floats(12), y=Y), "divide"),
    "one class": (lambda cli: data(cli, x=floats(12), y=Y * 0), "at least 2 classes"),
    "transparent images": (lambda cli: data(cli, x=floats(12, 4), y=Y), "transparency"),
    "labels out of range": (lambda cli: data(cli, x=floats(12), y=Y + 9), "label 11"),
    "empty data": (lambda cli: data(cli, x=floats(0), y=Y[:0]), "empty"),
    "no such split": (lambda cli: ["--split", "hold"], "hold"),
    "per class": (lambda cli: ["--per-class", "0"], "per_class"),
    "input shape": (lambda cli: ["--input-shape", "3,x"], "--input-shape"),
    "fraction": (lambda cli: ["--input-shape", "3,4.5,4"], "--input-shape"),
    "bounds": (lambda cli: ["--bounds", "0"], "bounds"),
    "mean": (lambda cli: ["--mean", "0.5,,0.5"], "--mean"),
    "arguments": (lambda cli: ["--arguments", "num_classes=3"], "--arguments"),
    "arguments no object": (lambda cli: ["--arguments", "[3]"], "JSON object"),
    "output": (lambda cli: ["--output", "scores"], "--output"),
    "architecture": (lambda cli: ["--architecture", "nowhere.py:net"], "nowhere.py"),
    "class names": (lambda cli: ["--class-names", "a,b"], "class names"),
    "device": (lambda cli: ["--device", "cuda:77"], "--device: expected one of the devices of"),
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_one_line(cli: Cli, case: str, as_json: bool) -> None:
    break_it, part = CASES[case]
    options = break_it(cli)
    result = cli.scan("--out", cli.out, *options, *(["--json"] if as_json else []))
    assert result.exit_code in (3, 4)
    assert_error(result, as_json=as_json)
    assert result.stderr.startswith("undoor: error: ")
    assert result.stderr.count("\n") == 1
    assert part in result.stderr
    assert not cli.out.exists()
    assert cli.calls == []


@pytest.mark.parametrize("missing", ["model", "data"])
def test_missing_files(cli: Cli, missing: str) -> None:
    setattr(cli, missing, str(cli.folder / "nowhere"))
    result = cli.scan()
    assert result.exit_code in (3, 4)
    assert result.stderr.count("\n") == 1
    assert "nowhere" in result.stderr


def raiser(error: BaseException) -> Callable[[Classifier, CleanSet], None]:
    def fail(classifier: Classifier, clean: CleanSet) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("odd\nthing"), "a bug in undoor: ValueError: odd thing (set UNDOOR_DEBUG=1"),
        (MemoryError(), "out of memory; use fewer images"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/disk"), "/disk: No space left"),
    ],
)
def test_unexpected(cli: Cli, error: Exception, told: str) -> None:
    cli.during_scan = raiser(error)
    result = cli.scan("--json", "--out", cli.out)
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert told in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not cli.out.exists()


def test_an_error_of_the_network_is_not_called_a_bug(cli: Cli) -> None:
    def fail(classifier: Classifier, clean: CleanSet) -> None:
        classifier.network[-1].forward = raising  # type: ignore[index]
        classifier(clean.images)

    def raising(_x: torch.Tensor) -> torch.Tensor:
        raise ValueError("not today")

    cli.during_scan = fail
    result = cli.scan()
    assert result.exit_code in (3, 4)
    told = result.stderr.splitlines()[-1]
    assert "the network raised ValueError: not today in a pass" in told
    assert "bug" not in told


def test_debug_shows_the_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDOOR_DEBUG", "1")
    cli.during_scan = raiser(ValueError("odd"))
    result = cli.scan()
    assert result.exit_code in (3, 4)
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["scan"],
        ["scan", "model.toml"],
        ["scan", "model.toml", "--data", "d", "--per-class", "many"],
        ["repair", "model.toml", "--data", "d", "--out", "o", "--fit", "magic"],
        ["unknown"],
    ],
)
def test_usage(cli: Cli, arguments: list[str]) -> None:
    result = cli.run(*arguments)
    assert result.exit_code in (3, 4)
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["scan", "repair", "check", "adapt", "evaluate", "demo"])
def test_help_has_examples(cli: Cli, name: str) -> None:
    result = cli.run(name, "--help")
    assert result.exit_code == 0
    assert "Examples" in result.stdout
    assert f"undoor {name}" in result.stdout
    assert "Exit codes" in result.stdout
    assert "--json" in result.stdout


def test_help_needs_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys; from undoor.cli import main; sys.argv = ['undoor', '--help']\n"
    code += "try: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_version(cli: Cli) -> None:
    result = cli.run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("undoor ")
