"""`undoor adapt`"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import undoor
from helpers.cli_fakes import Cli, Result, assert_error
from undoor.classifier import Classifier
from undoor.errors import BudgetEnded
from undoor.repairs.adaptation import Adaptation
from undoor.serve.kept_input import KeptInput
from undoor.serve.store import Store


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """With a repair in `fix`, as `undoor repair` leaves it."""
    cli = Cli(tmp_path, monkeypatch)
    cli.repair("--out", tmp_path / "fix")
    cli.calls.clear()
    (tmp_path / "inputs").mkdir()
    for i in range(4):
        pixels = np.full((4, 4, 3), 40 * i, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "inputs" / f"{i}.png")
    return cli


def adapt(cli: Cli, *arguments: object) -> Result:
    given = ("--data", cli.data, "--repair", cli.folder / "fix", "--out", cli.out)
    return cli.run("adapt", cli.model, cli.folder / "inputs", *given, *arguments)


def test_adapts(cli: Cli) -> None:
    result = adapt(cli, "--seed", 5)
    assert result.exit_code == 0, result.stderr
    assert cli.calls == [("adapt", {"clean": 12, "inputs": 4, "seed": 5})]
    files = {"scan.json", "trigger_1.npz", "trigger_1.png", "report.html"}
    files |= {"repair.json", "repair.safetensors"}
    assert {p.name for p in cli.out.iterdir()} == files
    told = " ".join(result.stdout.split())
    assert "3 of 4 inputs were flagged as 1 yield; its corrections are refitted on them" in told
    assert "SIA is unknown" in told
    assert "undoor check" in told
    page = (cli.out / "report.html").read_text()
    assert "3 of 4 inputs were flagged as 1 yield" in page
    assert "flagged in operation" in page
    assert "<svg" in page


def test_json(cli: Cli) -> None:
    result = adapt(cli, "--json")
    document = json.loads(result.stdout)
    assert document["schema"] == "undoor/repair/2"
    assert document["targets"][0]["adapted"]["flagged"] == 3
    assert result.stderr == "fit corrections ...\n"


def test_an_ended_budget_counts_the_search_for_flagged_inputs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spend(classifier: Classifier, *_: object) -> dict[int, Tensor]:
        assert classifier.counter is not None
        classifier.counter.before_pass(7)
        return {}

    def ended(*_: object, **__: object) -> None:
        raise BudgetEnded(10, 1)

    monkeypatch.setattr(sys.modules["undoor.adapt"], "flagged_inputs", spend)
    monkeypatch.setattr(sys.modules["undoor.adapt"], "adapt", ended)
    assert "after 17 sample passes and 1 s; " in adapt(cli).stderr


def test_too_few_flagged(cli: Cli) -> None:
    """The folder holds a repair that works as before, and a gate does not take it for adapted."""
    cli.adapted = Adaptation(4, 1, 20)
    result = adapt(cli)
    assert result.exit_code == 2
    told = " ".join(result.stdout.split())
    assert "1 of 4 inputs were flagged as 1 yield, 20 are needed" in told
    assert "SIA is unknown" not in told
    assert (cli.out / "repair.json").is_file()
    page = (cli.out / "report.html").read_text()
    assert "20 are needed" in page
    assert "with the recovered trigger" in page


def test_several_inputs(cli: Cli) -> None:
    x = np.random.default_rng(0).random((6, 4, 4, 3), np.float32)
    np.savez(cli.folder / "day.npz", x=x, x_night=x[:3])
    (cli.folder / "inputs" / "broken.png").write_bytes(b"no image")
    result = adapt(cli, cli.folder / "day.npz")
    assert result.exit_code == 0
    assert cli.calls[0][1]["inputs"] == 10
    assert "broken.png" in result.stderr
    cli.calls.clear()
    assert adapt(cli, cli.folder / "day.npz", "--inputs-split", "night").exit_code == 0
    assert cli.calls[0][1]["inputs"] == 7


def test_repair_without_its_scan(cli: Cli) -> None:
    """Saved from Python: there is nothing to draw a report from."""
    (cli.folder / "fix" / "scan.json").unlink()
    assert adapt(cli).exit_code == 0
    assert {p.name for p in cli.out.iterdir()} == {"repair.json", "repair.safetensors"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"--repair": "nowhere"}, "undoor repair"),
        ({"--out": "fix"}, "the original repair is to be kept"),
        ({"--data": "nowhere.npz"}, "nowhere.npz does not exist"),
        ({"--scale": "2"}, "scan of another model"),
        ({"--per-class": "0"}, "per_class"),
    ],
)
def test_one_line(cli: Cli, change: dict[str, str], told: str) -> None:
    paths = {"--repair", "--out", "--data"}
    options = [
        part
        for name, value in change.items()
        for part in (name, cli.folder / value if name in paths else value)
    ]
    result = adapt(cli, *options, "--json")
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert result.stderr.startswith("undoor: error: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert cli.calls == []
    assert not cli.out.exists()
    assert (cli.folder / "fix" / "repair.json").is_file()


def test_inputs_that_are_not_there(cli: Cli) -> None:
    result = adapt(cli, cli.folder / "nowhere.png")
    assert result.exit_code in (3, 4)
    assert "nowhere.png does not exist" in result.stderr
    assert not cli.out.exists()
    assert cli.run("adapt", cli.model, "--data", cli.data).exit_code in (3, 4)


def kept(cli: Cli, count: int, **changes: object) -> str:
    """The URL of a database with flagged inputs of the model."""
    store = Store(url := f"sqlite:///{cli.folder / 'flags.sqlite'}")
    model = undoor.load(cli.model, trust_code=True).fingerprint()
    x = np.full((3, 4, 4), 0.5, np.float32)
    item = KeptInput(1.0, model, "b" * 64, 1, 0, 2.0, "backdoor", x)
    store.keep([replace(item, **changes) for _ in range(count)], 99)  # type: ignore[arg-type]
    store.close()
    return url


def test_flagged_inputs_of_a_service(cli: Cli) -> None:
    url = kept(cli, 3)
    # What no guard judged, and what is of another model or shape, is left out.
    kept(cli, 1, target=None)
    kept(cli, 1, model_sha256="c" * 64)
    kept(cli, 1, x=np.zeros((3, 5, 5), np.float32))
    result = adapt(cli, "--database", url)
    assert result.exit_code == 0, result.stderr
    assert "3 flagged inputs of the service are read" in result.stderr
    assert cli.calls[0][1]["inputs"] == 4 + 3
    given = ("--data", cli.data, "--repair", cli.folder / "fix", "--out", cli.folder / "out-2")
    assert cli.run("adapt", cli.model, *given, "--database", url).exit_code == 0
    assert cli.calls[1][1]["inputs"] == 3


def test_no_inputs_at_all(cli: Cli) -> None:
    given = ("--data", cli.data, "--repair", cli.folder / "fix", "--out", cli.out)
    result = cli.run("adapt", cli.model, *given)
    assert result.exit_code == 3
    assert "expected inputs, or --database" in result.stderr
    result = cli.run("adapt", cli.model, *given, "--database", "sqlite:///nowhere.sqlite")
    assert result.exit_code == 4
    assert "expected the database of `undoor serve" in result.stderr
    url = kept(cli, 2, model_sha256="c" * 64)
    result = cli.run("adapt", cli.model, *given, "--database", url)
    assert result.exit_code == 4
    assert "expected flagged inputs of this model, got none" in result.stderr
    assert not cli.out.exists()
