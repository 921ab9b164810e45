"""`--data` and `--classes` of every command that takes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.cli_fakes import Cli
from helpers.pictures import picture
from undoor.clean_set import CleanSet

# In sorted order they would be 0, 1, 2; the model has stop, yield, go.
OWN = {"C1": "yield", "C2": "go", "C3": "stop"}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


@pytest.fixture
def seen(cli: Cli) -> list[CleanSet]:
    sets: list[CleanSet] = []
    cli.during_scan = lambda classifier, clean: sets.append(clean)
    return sets


def folders(root: Path, names: list[str]) -> Path:
    """Four pictures a folder, as bright as the folder's place."""
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(4):
            picture(50 * place).save(root / name / f"{i}.png")
    return root


def labels_by_brightness(clean: CleanSet) -> dict[int, int]:
    brightness = (clean.images[:, 0, 0, 0] * 255).round().int().tolist()
    return dict(sorted(zip(brightness, clean.labels.tolist(), strict=True)))


def test_folders_are_mapped_by_name(cli: Cli, seen: list[CleanSet]) -> None:
    data = folders(cli.folder / "images", ["Go", "STOP", "yield"])
    assert cli.run("scan", cli.model, "--data", data).exit_code == 1
    assert labels_by_brightness(seen[0]) == {0: 2, 50: 0, 100: 1}


@pytest.mark.parametrize("form", ["list", "text", "json list", "json object"])
def test_classes(cli: Cli, seen: list[CleanSet], form: str) -> None:
    data = folders(cli.folder / "images", ["C1", "C2", "C3"])
    order = ["C3", "C1", "C2"]
    file = cli.folder / ("names.txt" if form == "text" else "names.json")
    if form == "text":
        file.write_text("\n".join(order))
    elif form != "list":
        file.write_text(json.dumps(order if form == "json list" else OWN))
    given = ",".join(order) if form == "list" else file
    result = cli.run("scan", cli.model, "--data", data, "--classes", given)
    assert result.exit_code == 1, result.stderr
    assert labels_by_brightness(seen[0]) == {0: 1, 50: 2, 100: 0}
    assert f"--classes {given}" in result.stdout.replace("\n", "").replace("'", "")


def test_every_command_with_data_takes_classes(cli: Cli) -> None:
    data = folders(cli.folder / "images", ["C1", "C2", "C3"])
    (cli.folder / "names.json").write_text(json.dumps(OWN))
    cli.run("repair", cli.model, "--data", cli.data, "--out", cli.out)
    inputs = cli.folder / "inputs"
    inputs.mkdir()
    picture().save(inputs / "a.png")
    commands = {
        "scan": [],
        "inspect": [],
        "repair": ["--out", cli.folder / "again"],
        "evaluate": ["--repair", cli.out, "--target", "1", "--triggered", data],
        "adapt": ["--repair", cli.out, "--out", cli.folder / "adapted", inputs],
    }
    for name, more in commands.items():
        given = [name, cli.model, "--data", data, *more]
        refused = cli.run(*given)
        assert refused.exit_code in (3, 4)
        assert "3 of the 3 class names" in refused.stderr, name
        result = cli.run(*given, "--classes", cli.folder / "names.json")
        assert "error" not in result.stderr, name


def test_a_mismatch_is_explained(cli: Cli) -> None:
    data = folders(cli.folder / "images", ["stop", "yeild", "go"])
    result = cli.run("scan", cli.model, "--data", data, "--json")
    assert result.exit_code == 4
    assert "1 of the 3 class names" in json.loads(result.stdout)["message"]
    assert "1 of the 3 class names" in result.stderr
    assert "'yeild' (nearest: 'yield'); without images then: yield" in result.stderr


def test_what_is_assumed_is_told(cli: Cli) -> None:
    toml = Path(cli.model)
    toml.write_text(toml.read_text().partition("[classes]")[0])
    data = folders(cli.folder / "images", ["b", "a", "c"])
    result = cli.run("scan", cli.model, "--data", data)
    assert "note: the model has no class names" in result.stderr
    assert "in sorted order: 0 a, 1 b, 2 c" in result.stderr


def test_no_more_than_per_class_is_decoded(cli: Cli, seen: list[CleanSet]) -> None:
    images = np.zeros((300, 4, 4, 3), np.uint8)
    np.savez(cli.folder / "d.npz", x=images, y=np.arange(300) % 3)
    cli.run("scan", cli.model, "--data", cli.folder / "d.npz", "--per-class", 5, "--seed", 2)
    assert seen[0].labels.bincount().tolist() == [5, 5, 5]
    assert seen[0].reading.tried_of == {"0": 5, "1": 5, "2": 5}


@pytest.mark.parametrize("data", ["s-{0..3}.tar", "nothing", "a.csv", "empty"])
def test_nonsense(cli: Cli, data: str) -> None:
    (cli.folder / "a.csv").touch()
    (cli.folder / "empty").mkdir()
    result = cli.run("scan", cli.model, "--data", cli.folder / data)
    assert result.exit_code in (3, 4)
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("undoor: error: ")
    assert "bug" not in result.stderr
