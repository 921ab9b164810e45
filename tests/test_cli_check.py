"""`undoor check`"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_fakes import Cli
from PIL import Image


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


def test_json(cli: Cli) -> None:
    image(cli.folder / "inputs" / "a.png", stamped=False)
    image(cli.folder / "inputs" / "b.png", stamped=True)
    (cli.folder / "inputs" / "c.png").write_bytes(b"no image")
    result = cli.run("check", cli.model, cli.folder / "inputs", "--repair", cli.out, "--json")
    document = json.loads(result.stdout)
    assert (document["schema"], document["flagged"], document["n"]) == ("undoor/check/1", 1, 2)
    first, second = document["images"]
    assert not first["flagged"]
    assert first["score"] is None
    assert second["flagged"]
    assert (second["label"], second["class"], second["score"]) == (0, "stop", 3.0)
    assert len(document["skipped"]) == 1
    assert "c.png" in result.stderr


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
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_nothing_readable(cli: Cli) -> None:
    (cli.folder / "a.png").write_bytes(b"no image")
    result = cli.run("check", cli.model, cli.folder / "a.png", "--repair", cli.out, "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "no readable image" in result.stderr
