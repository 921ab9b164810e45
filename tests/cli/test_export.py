"""`undoor export`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import undoor
from helpers.cli_fakes import Result, assert_error, write_model
from helpers.made_repairs import make_repair
from undoor.cli import app
from undoor.cli.export import SNIPPETS
from undoor.deploy import ExportedModel
from undoor.export import FORMATS
from undoor.load import code_named_by


@pytest.fixture(autouse=True)
def trusted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of the model is trusted for good."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    named = code_named_by(folder / "model")
    assert named is not None
    named.remember()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    model = undoor.load(write_model(folder / "model"), trust_code=True)
    make_repair(model, (1,)).save(folder / "fix")
    return folder


def run(folder: Path, *arguments: object) -> Result:
    given = ["export", str(folder / "model"), *map(str, arguments)]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def test_shown(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "g.pt2"
    result = run(folder, "--repair", folder / "fix", "--to", "pt2", "--out", file)
    assert result.exit_code == 0, result.stderr
    told = " ".join(result.stdout.split())
    for word in ("images", "[batch, 3, 4, 4]", "[batch, 3]", "flagged", "score", "1 yield"):
        assert word in told
    assert "torch.export.load" in told
    assert file.is_file()


@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_snippet_runs(folder: Path, tmp_path: Path, to: str) -> None:
    """What is shown to the user is what works."""
    file = tmp_path / f"g.{to}"
    fix = folder / "fix" / "repair.safetensors"
    result = run(folder, "--repair", fix, "--out", file, "--policy", "reject", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["format"], document["metadata"]["policy"]) == (to, "reject")
    names: dict[str, object] = {}
    exec(document["snippet"], names)
    model = undoor.load(folder / "model", trust_code=True)
    guarded = undoor.guard(model, undoor.Repair.load(fix), policy="reject")
    expected = guarded.logits(torch.zeros(1, 3, 4, 4))
    for name, value in zip(("logits", "flagged", "score"), expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(names[name]), value, rtol=0, atol=1e-4)
    assert len(document["snippet"].splitlines()) <= 5


def test_preprocessing_and_triton(folder: Path, tmp_path: Path) -> None:
    file, models = tmp_path / "g.onnx", tmp_path / "models"
    given = ("--repair", folder / "fix", "--out", file, "--triton", models)
    result = run(folder, *given, "--with-preprocessing", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["triton"] == str(models / "g" / "config.pbtxt")
    assert 'name: "pixels"' in (models / "g" / "config.pbtxt").read_text()
    assert (models / "g" / "1" / "model.onnx").read_bytes() == file.read_bytes()
    names: dict[str, object] = {}
    exec(document["snippet"], names)
    (prediction,) = ExportedModel(file).predict([np.zeros((9, 5, 3), np.uint8)])
    assert names["labels"] == [prediction.label]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--repair", "nowhere", "--out", "g.onnx"), "no such file"),
        (("--repair", "fix", "--out", "g.bin"), "ends in .onnx or .pt2 or .safetensors"),
        (("--repair", "fix", "--to", "onnx", "--out", "g.pt2"), "ends in .onnx"),
        (("--repair", "fix", "--out", "g.safetensors"), "--to onnx or --to pt2"),
        (("--repair", "fix", "--out", "g.safetensors", "--with-preprocessing"), "weights alone"),
        (("--repair", "fix", "--out", "g.pt2", "--triton", "models"), "an ONNX file named with"),
        (("--repair", "fix", "--out", "a.b.onnx", "--triton", "models"), "got 'a.b.onnx'"),
        (("--repair", "fix", "--out", "g.onnx", "--triton", "fix/repair.json"), "--triton fix/rep"),
        (("--repair", "fix", "--out", "fix/repair.json/g.onnx"), "is a file"),
        (("--repair", "fix", "--out", "g.onnx", "--scale", "2"), "made for another model"),
    ],
)
def test_one_line(
    folder: Path, arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    result = run(folder, *arguments, "--json")
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert result.stderr.startswith("undoor: error: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert {path.name for path in folder.iterdir()} == {"model", "fix"}


def test_formats_are_those_of_the_library() -> None:
    """The command line knows them without loading torch."""
    from undoor.cli.export import export as work

    (to, _) = get_args(get_type_hints(work)["to"])
    assert get_args(to) == FORMATS
    assert set(SNIPPETS) == set(FORMATS)
