"""`undoor evaluate`"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.cli_fakes import Cli, Result, assert_error, make_trigger


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    cli = Cli(tmp_path, monkeypatch)
    cli.out.mkdir()
    (cli.out / "repair.json").write_text("{}")
    make_trigger().save(tmp_path / "trigger.npz")
    return cli


def evaluate(cli: Cli, *arguments: object) -> Result:
    given = ("--repair", cli.out, "--data", cli.data)
    return cli.run("evaluate", cli.model, *given, *arguments)


def test_with_a_trigger(cli: Cli) -> None:
    result = evaluate(cli, "--target", 1, "--trigger", cli.folder / "trigger.npz")
    assert result.exit_code == 0
    assert cli.calls[0] == ("stamp", {"target": 1, "source": None})
    assert "Target 1 yield: 12 clean and 8 triggered images" in result.stdout
    assert "80.0 to 95.0" in result.stdout


def test_json(cli: Cli) -> None:
    trigger = cli.folder / "trigger.npz"
    result = evaluate(cli, "--target", "yield", "--trigger", trigger, "--source", "go", "--json")
    assert json.loads(result.stdout) == {"schema": "undoor/evaluation/1", "target": 1}
    assert cli.calls[0] == ("stamp", {"target": 1, "source": 2})
    assert result.stderr == "evaluate ...\n"


def test_with_triggered_images_of_one_class(cli: Cli) -> None:
    stamped = cli.folder / "stamped.npz"
    x = np.random.default_rng(0).random((5, 4, 4, 3), np.float32)
    np.savez(stamped, x_a=x, y_a=np.full(5, 2), x_b=x, y_b=np.arange(5) % 3)
    result = evaluate(cli, "--target", 1, "--triggered", stamped, "--triggered-split", "a")
    assert result.exit_code == 0
    assert cli.calls == [("evaluate", {"clean": 12, "triggered": 5})]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "1"], "got neither"),
        (["--target", "1", "--trigger", "t", "--triggered", "s"], "got both"),
        (["--target", "1", "--triggered", "s", "--source", "2"], "--source goes with --trigger"),
        (["--target", "1", "--trigger", "t", "--triggered-split", "a"], "--triggered-split"),
        (["--target", "3", "--trigger", "t"], "--target: expected a class"),
        (["--target", "-1", "--trigger", "t"], "--target: expected a class"),
        (["--target", "1", "--trigger", "nowhere.npz"], "nowhere.npz: no such file"),
    ],
)
def test_errors(cli: Cli, arguments: list[str], told: str) -> None:
    result = evaluate(cli, *arguments, "--json")
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert result.stderr.startswith("undoor: error: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
