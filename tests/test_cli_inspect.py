"""`undoor inspect`: what people and programs are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from cli_fakes import Cli
from hostile.pickled import reduced
from torch import nn

import undoor
from undoor.clean_set import read_clean_set
from undoor.render.documents import json_schema


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def document(cli: Cli, code: int, *arguments: object) -> dict[str, Any]:
    result = cli.run("inspect", *arguments, "--json")
    assert result.exit_code == code, result.output
    told = json.loads(result.stdout)
    jsonschema.Draft202012Validator(json_schema("inspection")).validate(told)
    return told


def test_a_model(cli: Cli) -> None:
    told = document(cli, 0, cli.model)
    assert told["safe"]
    assert told["contract"]["class_names"] == ["stop", "yield", "go"]
    assert told["network"]["layers"] == {"Flatten": 1, "Linear": 1}
    assert told["dry_run"] is None
    assert told["model_sha256"] == undoor.load(cli.model).fingerprint()


def test_dry_run(cli: Cli) -> None:
    told = document(cli, 0, cli.model, "--data", cli.data)
    assert told["dry_run"]["images"] == 12
    shown = cli.run("inspect", cli.model, "--data", cli.data)
    assert shown.exit_code == 0
    assert "Dry run on 12 clean images" in shown.stdout
    assert "SAFE TO OPEN" in shown.stdout


def test_a_bare_checkpoint(cli: Cli) -> None:
    file = cli.folder / "model" / "weights.safetensors"
    told = document(cli, 0, file)
    assert told["checkpoint"]["tensors"] == {"1.bias": [3], "1.weight": [3, 48]}
    assert told["checkpoint"]["classes"] == 3
    assert "probably 3 classes" in cli.run("inspect", file).stdout


def test_not_finite(cli: Cli) -> None:
    torch.save({"w": torch.tensor([float("nan")])}, cli.folder / "w.pt")
    told = document(cli, 2, cli.folder / "w.pt")
    assert told["checkpoint"]["not_finite"] == ["w"]
    assert "NaN or infinity" in told["problem"]


def test_unsafe(cli: Cli) -> None:
    file = cli.folder / "w.pt"
    file.write_bytes(reduced("true"))
    told = document(cli, 2, file)
    assert told["files"][0]["globals"] == [{"name": "os.system", "opcode": "GLOBAL"}]
    shown = cli.run("inspect", file)
    assert shown.exit_code == 2
    assert "NOT SAFE" in shown.stdout
    assert "REDUCE os.system" in shown.stdout


def test_what_does_not_open(cli: Cli) -> None:
    toml = Path(cli.model)
    toml.write_text(toml.read_text().replace("nets.py:net", "nets.py:none"))
    told = document(cli, 2, toml)
    assert "has no 'none'" in told["problem"]
    assert told["files"][0]["safe"]


def test_trusting_is_loud(cli: Cli) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    torch.save(module, cli.folder / "whole.pt")
    nets = f"{cli.folder / 'model' / 'nets.py'}:net"
    given = ("--architecture", nets, "--arguments", '{"num_classes": 3}', "--input-shape", "3,4,4")
    assert cli.run("inspect", cli.folder / "whole.pt", *given).exit_code == 2
    result = cli.run("inspect", cli.folder / "whole.pt", *given, "--trust-pickle")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("WARNING") == 2
    assert "RUNS CODE" in result.stderr
    assert "confined to:" in result.stderr
    assert "OPENED BECAUSE IT IS TRUSTED" in result.stdout


def test_in_python(cli: Cli) -> None:
    clean = read_clean_set(cli.data)
    found = undoor.inspect(cli.model, clean=clean)
    assert found.safe
    assert found.dry_run is not None
    assert found.dry_run.images == 12
