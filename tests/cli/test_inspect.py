"""`undoor inspect`: what people and programs are told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import undoor
from helpers.cli_fakes import Cli
from helpers.hostile.pickled import reduced
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
    assert told["opened"]
    assert told["contract"]["class_names"] == ["stop", "yield", "go"]
    assert told["network"]["layers"] == {"Flatten": 1, "Linear": 1}
    assert told["dry_run"] is None
    assert told["model_sha256"] == undoor.load(cli.model, trust_code=True).fingerprint()


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
    told = document(cli, 4, cli.folder / "w.pt")
    assert told["checkpoint"]["not_finite"] == ["w"]
    assert "NaN or infinity" in told["problem"]


def test_unsafe(cli: Cli) -> None:
    file = cli.folder / "w.pt"
    file.write_bytes(reduced("true"))
    told = document(cli, 4, file)
    assert told["files"][0]["globals"] == [{"name": "os.system", "opcode": "GLOBAL"}]
    shown = cli.run("inspect", file)
    assert shown.exit_code in (3, 4)
    assert "NOT SAFE" in shown.stdout
    assert "REDUCE os.system" in shown.stdout


def test_what_does_not_open(cli: Cli) -> None:
    toml = Path(cli.model)
    toml.write_text(toml.read_text().replace("nets.py:net", "nets.py:none"))
    told = document(cli, 4, toml, "--trust-code")
    assert "has no 'none'" in told["problem"]
    assert told["safe"]
    assert not told["opened"]
    assert "SAFE FILES, BUT NOT OPENED" in cli.run("inspect", toml, "--trust-code").stdout


def test_code_is_listed_and_not_run(cli: Cli) -> None:
    folder = cli.folder / "model"
    nets = folder / "nets.py"
    canary = cli.folder / "canary"
    nets.write_text(f"open({str(canary)!r}, 'w').close()\n{nets.read_text()}")
    (folder / "blocks.py").write_text("import nowhere\n")
    told = document(cli, 4, cli.model)
    assert not canary.exists()
    assert not told["safe"]
    assert not told["opened"]
    assert "--trust-code" in told["problem"]
    assert told["code"] == {
        "architecture": f"{nets}:net",
        "trusted": False,
        "files": [
            {"path": str(path), "sha256": sha256(path)} for path in (nets, folder / "blocks.py")
        ],
    }
    assert [Path(f["path"]).name for f in told["files"] if f["runs"]] == ["nets.py", "blocks.py"]
    # What needs no code is said all the same.
    assert told["checkpoint"]["classes"] == 3
    shown = cli.run("inspect", cli.model)
    assert shown.exit_code in (3, 4)
    assert "NOT SAFE TO OPEN: CODE WOULD RUN" in shown.stdout
    assert not canary.exists()


def test_trusted_code_is_loud(cli: Cli) -> None:
    nets = cli.folder / "model" / "nets.py"
    nets.write_text(nets.read_text() + "# changed\n")
    result = cli.run("inspect", cli.model, "--trust-code")
    assert result.exit_code == 0, result.output
    assert "SAFE TO OPEN, WITH CODE THAT YOU TRUST" in result.stdout
    assert "RUNS CODE" in result.stderr
    assert f"{nets} SHA-256 {sha256(nets)}" in result.stderr
    assert cli.run("inspect", cli.model).exit_code in (3, 4)
    assert cli.run("inspect", cli.model, "--remember-code").exit_code == 0
    quiet = cli.run("inspect", cli.model)
    assert (quiet.exit_code, quiet.stderr) == (0, "")


def test_an_architecture_of_the_user_needs_no_trust(cli: Cli) -> None:
    nets = cli.folder / "model" / "nets.py"
    nets.write_text(nets.read_text() + "# changed\n")
    told = document(cli, 0, cli.model, "--architecture", f"{nets}:net")
    assert told["safe"]
    assert told["code"] is None


@pytest.mark.parametrize("target", ["os:system", "builtins:exec", "subprocess:run"])
@pytest.mark.parametrize("more", [(), ("--trust-code",)])
def test_python_itself_is_refused(cli: Cli, target: str, more: tuple[str, ...]) -> None:
    toml, canary = Path(cli.model), cli.folder / "canary"
    text = toml.read_text().replace("nets.py:net", target)
    toml.write_text(text.replace("num_classes = 3", f"command = 'touch {canary}'"))
    for command in ("inspect", "scan", "repair", "evaluate"):
        given = () if command == "inspect" else ("--data", cli.data, "--out", cli.out)
        result = cli.run(command, toml, *given[: 4 if command == "repair" else 2], *more)
        assert result.exit_code in (3, 4)
        assert not canary.exists()
    told = document(cli, 4, toml, *more)
    assert "belongs to Python itself" in told["problem"]
    assert not told["safe"]
    assert told["code"] == {"architecture": target, "trusted": False, "files": []}


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_trusting_is_loud(cli: Cli) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    torch.save(module, cli.folder / "whole.pt")
    nets = f"{cli.folder / 'model' / 'nets.py'}:net"
    given = ("--architecture", nets, "--arguments", '{"num_classes": 3}', "--input-shape", "3,4,4")
    assert cli.run("inspect", cli.folder / "whole.pt", *given).exit_code in (3, 4)
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
