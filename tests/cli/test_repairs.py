"""`undoor repairs`"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from helpers.cli_fakes import Result, assert_error
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.align.guard_threshold import GuardThreshold
from undoor.cli import app
from undoor.repairs.record import Repair


@pytest.fixture
def both() -> Repair:
    made = make_repair(random_classifier("conv_norm"))
    names = ("go", "stop", "yield", "[red]bend")
    return replace(made, contract=replace(made.contract, class_names=names))


@pytest.fixture
def folder(tmp_path: Path, both: Repair) -> Path:
    for item, name in zip(both.targets, "ab", strict=True):
        replace(both, targets=(item,)).save(tmp_path / name)
    return tmp_path


def run(*arguments: object) -> Result:
    given = ["repairs", *map(str, arguments)]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def test_list(folder: Path, both: Repair) -> None:
    result = run("list", folder)
    assert result.exit_code == 0
    assert "1 stop" in result.stdout
    assert "[red]bend" in result.stdout
    assert result.stdout.count(both.fingerprint) == 2
    assert "entry (position)" in result.stdout
    made = json.loads(run("list", folder / "a", folder / "b", "--json").stdout)
    assert made["schema"] == "undoor/repairs/1"
    hashes = [item["sha256"] for item in made["repairs"]]
    assert hashes == [Repair.load(folder / name).sha256() for name in "ab"]
    assert all(value in result.stdout for value in hashes)


def test_list_shows_thresholds_beside_their_scores(folder: Path, both: Repair) -> None:
    """A threshold above every score, under which nothing is flagged, is seen."""
    scored = GuardThreshold.of(torch.linspace(-3, 1, 60), torch.linspace(2, 9, 40), 0.05)
    item = replace(both.targets[0], calibration=scored)
    replace(both, targets=(item,)).save(folder / "a")
    result = run("list", folder)
    flags = f"1 stop: flags above {scored.threshold:.3g}"
    assert f"{flags}, set on clean scores -3 to 1 (median -1, 60 inputs)" in result.stdout
    assert "triggered scores 2 to 9 (median 5.5, 40 inputs)" in result.stdout
    assert "set on clean scores unknown" in result.stdout
    made = json.loads(run("list", folder, "--json").stdout)["repairs"]
    assert made[0]["targets"][0]["scores"]["clean"]["max"] == 1
    assert made[1]["targets"][0]["scores"] is None


def test_list_with_a_damaged_one(folder: Path) -> None:
    """A gate that lists before it serves stays shut."""
    file = folder / "a" / "repair.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    result = run("list", folder)
    assert result.exit_code in (3, 4)
    assert "damaged" in result.stdout
    assert "[red]bend" in result.stdout
    result = run("list", folder, "--json")
    assert result.exit_code in (3, 4)
    assert json.loads(result.stdout)["repairs"][0]["problem"]


@pytest.mark.parametrize("out", ["c", "c.safetensors"])
def test_combine_and_remove(folder: Path, both: Repair, out: str) -> None:
    result = run("combine", folder / "b", folder / "a", "--out", folder / out)
    assert result.exit_code == 0
    assert "1 stop" in result.stdout
    assert Repair.load(folder / out).sha256() == both.sha256()
    names = {"c": {"repair.safetensors", "repair.json"}, "c.safetensors": set()}
    shown = {name for name in names["c"] if name in result.stdout}
    assert shown == names[out]
    less = folder / "less.safetensors"
    result = run("remove", folder / out, "--target", "stop", "--out", less, "--json")
    assert json.loads(result.stdout)["repairs"][0]["targets"][0]["class"] == "[red]bend"
    assert less.read_bytes() == (folder / "b" / "repair.safetensors").read_bytes()


def test_the_same_target_twice(folder: Path) -> None:
    result = run("combine", folder / "a", folder / "a", "--out", folder / "c")
    assert result.exit_code in (3, 4)
    assert "--prefer" in result.stderr
    assert not (folder / "c").exists()
    result = run("combine", folder / "a", folder / "a", "--prefer", "last", "--out", folder / "c")
    assert result.exit_code == 0
    hashes = {Repair.load(folder / name).sha256() for name in "ac"}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "nowhere"), ""),
        (("combine", "a", "nowhere", "--out", "c"), "no such file"),
        (("combine", "a", "--out", "c"), "at least two repairs"),
        (("combine", "a", "b", "--out", "a/repair.json/c"), "is a file"),
        (("remove", "a", "--target", "halt", "--out", "c"), "expected a class of the model"),
        (("remove", "a", "--target", "0", "--out", "c"), "expected a target of the repair"),
        (("remove", "a", "--target", "1", "--out", "c"), "nothing would be left"),
        (("remove", "a/repair.json", "--target", "1", "--out", "c"), "no safetensors file"),
    ],
)
def test_one_line(
    folder: Path, arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    result = run(*arguments, "--json")
    assert result.exit_code in (3, 4)
    if told:
        assert_error(result)
        assert result.stderr.startswith("undoor: error: ")
        assert result.stderr.count("\n") == 1
        assert told in result.stderr
    assert not (folder / "c").exists()
