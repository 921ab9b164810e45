"""`undoor check`"""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from helpers.cli_fakes import Cli, Result, assert_error
from helpers.made_repairs import make_repair
from helpers.tiny import clean_images, toy_classifier
from undoor.clean_set import read_images
from undoor.cli.check import Checked, _check, _show
from undoor.errors import UndoorError
from undoor.scrutiny import Disagreement
from undoor.spaces.images import IMAGES
from undoor.vocabulary import MAX_SCORE, POLICIES, Policy


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    cli = Cli(tmp_path, monkeypatch)
    cli.out.mkdir()
    (cli.out / "repair.json").write_text("{}")
    return cli


def image(file: Path, *, stamped: bool) -> Path:
    file.parent.mkdir(exist_ok=True)
    pixels = np.full((4, 4, 3), 100, np.uint8)
    if stamped:
        pixels[-2:, -2:] = 255
    Image.fromarray(pixels).save(file)
    return file


def test_flags(cli: Cli) -> None:
    good = image(cli.folder / "good.png", stamped=False)
    bad = image(cli.folder / "bad.png", stamped=True)
    result = cli.run("check", cli.model, good, bad, "--repair", cli.out)
    assert result.exit_code == 1
    assert "FLAGGED" in result.stdout
    assert "1 of 2 images flagged" in result.stdout


def test_nothing_flagged(cli: Cli) -> None:
    good = image(cli.folder / "good.png", stamped=False)
    result = cli.run("check", cli.model, good, "--repair", cli.out)
    assert result.exit_code == 0
    assert "0 of 1 images flagged" in result.stdout


def test_inputs_beyond_the_bounds_are_flagged(tmp_path: Path) -> None:
    """One among many, whatever it is predicted as; the others are answered as ever."""
    model = toy_classifier(backdoored=False)
    x = clean_images(2).images.numpy().copy()
    x[1] *= 255
    x[2, 0, 0, 0] = np.nan
    x[3, 0, 3, 3] = -np.inf
    np.savez(tmp_path / "a.npz", x=x)
    images, names, _ = read_images([tmp_path / "a.npz"], model, any_range=True)
    made = replace(make_repair(model, ()), targets=())
    rows = _check(model, made, images, names, "relabel")
    assert [row.flagged for row in rows] == [False, True, True, True, *[False] * (len(x) - 4)]
    assert [row.rejected for row in rows[:4]] == [False, False, True, True]
    assert rows[0].score is None
    document = json.loads(json.dumps([row.to_json() for row in rows]))
    assert document[1]["score"] == MAX_SCORE == pytest.approx(3.4028235e38)
    assert document[2]["class"] is None
    with pytest.raises(UndoorError, match="NaN or infinite"):
        read_images([tmp_path / "a.npz"], model)


def test_says_what_cannot_be_judged(cli: Cli) -> None:
    rows = [
        Checked("a", 0, "stop", -1, None, True, True, MAX_SCORE),
        Checked("b", 0, "stop", 0, "stop", False, False, 0.5),
        Checked("c", 1, "go", 1, "go", False, False, None),
    ]
    console = Console(width=200, record=True, file=io.StringIO())
    _show(console, rows, IMAGES.noun)
    text = console.export_text()
    assert "not judged" in text
    assert "1 of 3 images cannot be judged: their values lie outside the model's bounds" in text


def test_json(cli: Cli) -> None:
    image(cli.folder / "inputs" / "a.png", stamped=False)
    image(cli.folder / "inputs" / "b.png", stamped=True)
    (cli.folder / "inputs" / "c.png").write_bytes(b"no image")
    result = cli.run("check", cli.model, cli.folder / "inputs", "--repair", cli.out, "--json")
    document = json.loads(result.stdout)
    assert (document["schema"], document["flagged"], document["n"]) == ("undoor/check/2", 1, 2)
    assert document["policy"] == "relabel"
    first, second = document["images"]
    assert not first["flagged"]
    assert first["score"] is None
    assert second["flagged"]
    assert (second["label"], second["class"], second["score"]) == (0, "stop", 3.0)
    assert not first["rejected"]
    assert not second["rejected"]
    assert len(document["skipped"]) == 1
    assert (document["lost"], document["changed"]) == ({"unknown format": 1}, {})
    assert "c.png" in result.stderr


def both(cli: Cli, *arguments: object) -> Result:
    """Check an image without the trigger and one with it."""
    image(cli.folder / "inputs" / "a.png", stamped=False)
    image(cli.folder / "inputs" / "b.png", stamped=True)
    return cli.run("check", cli.model, cli.folder / "inputs", "--repair", cli.out, *arguments)


@pytest.mark.parametrize("policy", ["relabel", "reject", "flag"])
def test_policy_in_json(cli: Cli, policy: str) -> None:
    result = both(cli, "--policy", policy, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["policy"], document["flagged"]) == (policy, 1)
    first, second = document["images"]
    assert (first["label"], first["class"]) == (first["model_label"], first["model_class"])
    assert (first["flagged"], first["rejected"]) == (False, False)
    assert (second["flagged"], second["rejected"]) == (True, policy == "reject")
    own = (second["model_label"], second["model_class"])
    expected = {"relabel": (0, "stop"), "reject": (-1, None), "flag": own}
    assert (second["label"], second["class"]) == expected[policy]


def test_rejected_inputs_in_text(cli: Cli) -> None:
    """No class is shown for them, least of all the last one, which -1 would index."""
    shown = both(cli, "--policy", "reject").stdout
    (line,) = (line for line in shown.splitlines() if "FLAGGED" in line)
    assert line.split("│")[3].strip() == "rejected"
    cells = [line.split("│")[3].strip() for line in shown.splitlines() if line[0] == "│"]
    assert cells.count("rejected") == 1
    assert "flagged and rejected" in shown
    assert "1 of 2 images flagged and rejected" in shown


def test_flag_alone_in_text(cli: Cli) -> None:
    shown = both(cli, "--policy", "flag").stdout
    (line,) = (line for line in shown.splitlines() if "FLAGGED" in line)
    assert line.split("│")[2].strip() == line.split("│")[3].strip()
    assert "rejected" not in shown
    assert "1 of 2 images flagged" in shown


@pytest.mark.parametrize("policy", ["relabel", "reject"])
def test_csv(cli: Cli, policy: str) -> None:
    file = cli.folder / "tables" / "checked.csv"
    result = both(cli, "--policy", policy, "--csv", file)
    assert result.exit_code == 1
    assert "1 of 2 images flagged" in result.stdout
    first, second = csv.DictReader(file.read_text().splitlines())
    assert list(first) == [
        "image", "model_label", "model_class", "label", "class", "flagged", "rejected", "score"
    ]  # fmt: skip
    assert first["image"].endswith("a.png")
    assert (first["flagged"], first["rejected"], first["score"]) == ("false", "false", "")
    rejected = policy == "reject"
    assert (second["flagged"], second["rejected"]) == ("true", "true" if rejected else "false")
    assert (second["label"], second["class"]) == (("-1", "") if rejected else ("0", "stop"))
    assert float(second["score"]) == 3


def test_csv_needs_no_benchmark(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs undoor has no `undoor_bench`."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "undoor_bench"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "undoor_bench", None)
    file = cli.folder / "checked.csv"
    assert both(cli, "--csv", file).exit_code == 1
    assert len(list(csv.DictReader(file.read_text().splitlines()))) == 2


def test_csv_where_no_file_can_be(cli: Cli) -> None:
    (cli.folder / "taken").write_text("")
    result = both(cli, "--csv", cli.folder / "taken" / "checked.csv", "--json")
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert "taken" in result.stderr
    assert result.stderr.count("\n") == 1


def test_unknown_policy(cli: Cli) -> None:
    result = both(cli, "--policy", "drop")
    assert result.exit_code in (3, 4)
    assert result.stdout == ""
    assert "drop" in result.stderr


def test_policies_are_those_of_the_guard() -> None:
    """The command line knows them without loading torch."""
    assert get_args(Policy) == POLICIES


def test_many_images_show_the_flagged_ones(cli: Cli) -> None:
    x = np.full((60, 4, 4, 3), 0.4, np.float32)
    x[7] = 1
    np.savez(cli.folder / "many.npz", x=x)
    result = cli.run("check", cli.model, cli.folder / "many.npz", "--repair", cli.out)
    assert result.stdout.count("FLAGGED") == 1
    assert "1 of 60 images flagged" in result.stdout


def test_no_repair_there(cli: Cli) -> None:
    good = image(cli.folder / "good.png", stamped=False)
    result = cli.run("check", cli.model, good, "--repair", cli.folder / "nowhere")
    assert result.exit_code in (3, 4)
    assert result.stderr.count("\n") == 1


def test_nothing_readable(cli: Cli) -> None:
    (cli.folder / "a.png").write_bytes(b"no image")
    result = cli.run("check", cli.model, cli.folder / "a.png", "--repair", cli.out, "--json")
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert "no readable image" in result.stderr


def test_predictions_that_depend_on_the_batch_are_warned_about(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Disagreement("batch", "predictions depend on the other inputs of the batch")
    monkeypatch.setattr("undoor.scrutiny.depends_on_batch_or_chance", lambda _: (odd,))
    good = image(cli.folder / "good.png", stamped=False)
    told = cli.run("check", cli.model, good, "--repair", cli.out)
    assert f"WARNING: {odd.sentence}" in told.stderr
    assert odd.sentence not in told.stdout
