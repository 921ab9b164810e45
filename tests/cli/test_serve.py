"""`undoor serve`: what is refused before anything listens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import undoor
from helpers.cli_fakes import Cli
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.cli.serve import LoadExported, LoadPair
from undoor.repairs.record import Repair
from undoor.serve import run as run_module
from undoor.serve.run import Address, Worker


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = random_classifier("mlp")
    folder = tmp_path_factory.mktemp("exported")
    return undoor.export(model, make_repair(model), folder / "my model.onnx").file


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been served."""
    found: list[dict[str, Any]] = []

    def fake(worker: Worker, address: Address, workers: int, ready: Any) -> None:
        found.append({"worker": worker, "address": address, "workers": workers})
        ready(address.host, 1234)

    monkeypatch.setattr(run_module, "serve", fake)
    return found


def test_exported(cli: Cli, exported: Path, started: list[dict[str, Any]]) -> None:
    options = ("--workers", 3, "--max-batch", 8, "--max-delay-ms", 5, "--max-body", 0.5)
    result = cli.run("serve", exported, *options, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["schema"] == "undoor/serve/1"
    assert (document["model"], document["targets"]) == ("my-model", [1, 3])
    assert document["address"] == "http://127.0.0.1:1234"
    assert "serving my-model at http://127.0.0.1:1234" in result.stderr
    assert "WARNING" not in result.stderr
    (served,) = started
    limits = served["worker"].settings.limits
    assert (limits.batch, limits.delay, limits.body) == (8, 0.005, 2**19)
    assert served["workers"] == 3
    assert isinstance(served["worker"].load, LoadExported)
    assert served["worker"].load().model.name == "my-model"
    # Nothing is to be kept: the database is one that ends with the service.
    assert "undoor-serve-" in served["worker"].settings.database


def test_whoever_can_reach_it_may_use_it(
    cli: Cli, exported: Path, started: list[dict[str, Any]]
) -> None:
    result = cli.run("serve", exported, "--host", "0.0.0.0")
    assert "WARNING: whoever reaches this address may use the service" in result.stderr
    (cli.folder / "tokens").write_text("t" * 32)
    result = cli.run("serve", exported, "--host", "0.0.0.0", "--tokens", cli.folder / "tokens")
    assert "WARNING" not in result.stderr


def test_kept_in_this_folder(
    cli: Cli, exported: Path, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cli.folder)
    cli.run("serve", exported, "--keep-flagged", 5)
    assert started[-1]["worker"].settings.database == "sqlite:///undoor-serve.sqlite"
    cli.run("serve", exported, "--keep-flagged", 5, "--database", "sqlite:///x.sqlite")
    assert started[-1]["worker"].settings.database == "sqlite:///x.sqlite"


def test_a_model_and_its_repair(
    tmp_path: Path, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later worker must load the same model and repair."""
    from typer.testing import CliRunner

    from helpers.model_folders import HONEST, folder_with
    from undoor.cli import app

    model = folder_with(tmp_path / "net", HONEST)
    classifier = undoor.load(model, trust_code=True)
    make_repair(classifier, targets=(1,)).save(tmp_path / "fix")
    arguments = ["serve", str(model), "--repair", str(tmp_path / "fix"), "--trust-code"]
    result = CliRunner().invoke(app, [*arguments, "--policy", "reject"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    load = started[0]["worker"].load
    assert isinstance(load, LoadPair)
    assert load.model.model_sha256 == classifier.fingerprint()
    assert load.repair_sha256 == Repair.load(tmp_path / "fix").sha256()
    assert load().model.policy == "reject"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--policy", "reject"], 3, "--policy: expected reject"),
        (["--model-sha256", "0" * 64], 3, "--model-sha256: expected 0000"),
        (["--repair-sha256", "0" * 64], 3, "--repair-sha256: expected 0000"),
        (["--device", "cuda"], 3, "leave out the options"),
        (["--trust-code"], 3, "leave out the options"),
        (["--name", "a/b"], 3, "--name: expected"),
        (["--threads", "0"], 3, "--threads: expected"),
        (["--max-batch", "0"], 3, "batch"),
        (["--max-queue", "3"], 3, "queue of at least one batch"),
        (["--max-seconds", "nan"], 3, "seconds"),
        (["--keep-flagged", "-1"], 3, "--keep-flagged"),
    ],
)
def test_refused(
    cli: Cli,
    exported: Path,
    started: list[dict[str, Any]],
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    result = cli.run("serve", exported, *arguments)
    assert result.exit_code == code, result.stderr
    assert told in result.stderr
    assert started == []


def test_neither_repair_nor_export(cli: Cli) -> None:
    result = cli.run("serve", cli.model)
    assert result.exit_code == 3
    assert "expected --repair" in result.stderr


def test_missing_library(
    cli: Cli, exported: Path, monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = cli.run("serve", exported)
    assert result.exit_code == 4
    assert "pip install '.[serve]'" in result.stderr


@pytest.mark.parametrize("workers", [0, 1000])
def test_workers(cli: Cli, exported: Path, workers: int) -> None:
    result = cli.run("serve", exported, "--workers", workers)
    assert result.exit_code == 3
    assert "1 to 256 workers" in result.stderr


@pytest.mark.parametrize("port", [-1, 70_000])
def test_ports(cli: Cli, exported: Path, port: int) -> None:
    result = cli.run("serve", exported, "--port", port)
    assert result.exit_code == 3
    assert "--port: expected 0 to 65535" in result.stderr


@pytest.mark.parametrize("address", [("300.0.0.1", 0), ("8.8.8.8", 80)])
def test_addresses_that_cannot_be_used(cli: Cli, exported: Path, address: tuple[str, int]) -> None:
    host, port = address
    result = cli.run("serve", exported, "--host", host, "--port", port)
    assert result.exit_code == 4
    assert f"cannot listen on {host} port {port}" in result.stderr
