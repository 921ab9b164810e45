"""Options that several commands share: which model, which repair."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import undoor
from helpers.cli_fakes import Result
from helpers.model_folders import BRANCH, HONEST, folder_with
from helpers.small_repairs import as_before, small_repair
from undoor.cli import app
from undoor.identity.tensors import weights_sha256


def run(*arguments: object) -> Result:
    """A command; what takes a model trusts its code."""
    trusted = () if arguments[0] == "repairs" else ("--trust-code",)
    given = [str(argument) for argument in (*arguments, *trusted)]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def commands() -> dict[str, set[str]]:
    """The options of every command, by the command's name."""
    root: Any = typer.main.get_command(app)
    found: dict[str, set[str]] = {}
    todo: list[tuple[str, Any]] = list(root.commands.items())
    while todo:
        name, command = todo.pop()
        inside = getattr(command, "commands", {})
        todo += [(f"{name} {inner}", part) for inner, part in inside.items()]
        found[name] = {text for part in command.params for text in part.opts}
    return found


def test_every_command_that_takes_a_model_or_a_repair_takes_its_hash() -> None:
    found = commands()
    models = {name for name, options in found.items() if "--architecture" in options}
    # A fleet makes repairs and reads none.
    reading = {name: options for name, options in found.items() if not name.startswith("fleet")}
    repairs = {name for name, options in reading.items() if "--repair" in options}
    assert models >= {"inspect", "scan", "repair", "check", "evaluate", "adapt", "export"}
    assert repairs >= {"check", "evaluate", "adapt", "export"}
    assert all("--model-sha256" in found[name] for name in models)
    for name in (*repairs, "repairs combine", "repairs remove"):
        assert "--repair-sha256" in found[name]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return folder_with(tmp_path / "model", HONEST)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    np.savez(tmp_path / "x.npz", x=np.full((1, 4, 4, 3), 0.5, np.float32))
    return tmp_path / "x.npz"


def test_the_hash_is_the_one_that_inspect_shows(model: Path) -> None:
    shown = json.loads(run("inspect", model, "--json").stdout)["model_sha256"]
    assert shown == undoor.load(model, trust_code=True).fingerprint()
    assert run("inspect", model, "--model-sha256", shown).exit_code == 0


@pytest.mark.parametrize("command", ["inspect", "scan", "repair"])
def test_another_model_is_refused_before_any_work(model: Path, command: str) -> None:
    """Not even the data are looked for."""
    expected = undoor.load(model, trust_code=True).fingerprint()
    (model.parent / "net.py").write_text(BRANCH)
    found = undoor.load(model, trust_code=True).fingerprint()
    more = [] if command == "inspect" else ["--data", "nowhere", "--out", model.parent / "out"]
    result = run(command, model, "--model-sha256", expected, *more)
    assert result.exit_code in (3, 4)
    said = "".join(result.output.replace("│", "").split())
    assert f"expectedamodelwiththeSHA-256{expected},got{found}" in said
    assert "nowhere" not in said


def test_the_hash_of_the_weights_alone_is_not_taken(model: Path) -> None:
    weights = hashlib.sha256((model.parent / "w.safetensors").read_bytes()).hexdigest()
    for other in (weights, weights_sha256(undoor.load(model, trust_code=True))):
        assert run("inspect", model, "--model-sha256", other).exit_code in (3, 4)
    result = run("inspect", model, "--model-sha256", weights[:16])
    assert result.exit_code in (3, 4)
    assert "all 64 hexadecimal digits" in " ".join(result.output.split())


def test_a_hash_that_cannot_be_checked_is_not_passed_over(model: Path) -> None:
    """A bare checkpoint is looked at by its tensors alone."""
    weights = model.parent / "w.safetensors"
    assert run("inspect", weights).exit_code == 0
    result = run("inspect", weights, "--model-sha256", "0" * 64)
    assert result.exit_code in (3, 4)
    assert "no network was built" in " ".join(result.output.replace("│", "").split())
    assert "no network was built" in str(undoor.inspect(weights, sha256="0" * 64).problem)


def test_the_repair_that_is_expected(model: Path, image: Path, tmp_path: Path) -> None:
    file = small_repair(undoor.load(model, trust_code=True)).save(tmp_path / "fix")
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    listed = json.loads(run("repairs", "list", file, "--json").stdout)["repairs"]
    assert [item["sha256"] for item in listed] == [right]
    check = ["check", model, image, "--repair", tmp_path / "fix"]
    accepted = run(*check, "--repair-sha256", right)
    assert accepted.exit_code == 0, accepted.output
    refused = run(*check, "--repair-sha256", "0" * 64)
    assert refused.exit_code in (3, 4)
    said = "".join(refused.output.split())
    assert f"expectedafilewiththeSHA-256{'0' * 64},got{right}" in said


def test_repairs_that_are_combined(model: Path, tmp_path: Path) -> None:
    repair = small_repair(undoor.load(model, trust_code=True))
    files = [repair.save(tmp_path / f"{name}.safetensors") for name in "ab"]
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    given = [part for digest in hashes for part in ("--repair-sha256", digest)]
    combine = ["repairs", "combine", *files, "--out", tmp_path / "c.safetensors"]
    assert run(*combine, *given).exit_code == 0
    assert run(*combine, *given[:2]).exit_code in (3, 4)
    assert run(*combine, *given[:2], "--repair-sha256", "0" * 64).exit_code in (3, 4)


def test_a_repair_of_the_format_before_is_warned_about(
    model: Path, image: Path, tmp_path: Path
) -> None:
    classifier = undoor.load(model, trust_code=True)
    file = as_before(small_repair(classifier).save(tmp_path / "old.safetensors"), classifier)
    assert "weights and input transform alone" in run("repairs", "list", file).stdout
    result = run("check", model, image, "--repair", file)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert "WARNING" in said
    assert "by the weights and the input transform only" in said
