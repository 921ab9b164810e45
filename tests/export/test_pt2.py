"""Archives of torch.export."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = random_classifier("mlp_norm")
    folder = tmp_path_factory.mktemp("pt2")
    return undoor.export(model, make_repair(model), folder / "g.pt2").file


def test_says_what_it_is(file: Path) -> None:
    extra = {"undoor.json": ""}
    with file.open("rb") as stream:
        torch.export.load(stream, extra_files=extra)
    about = json.loads(extra["undoor.json"])
    assert about["model_sha256"] == random_classifier("mlp_norm").fingerprint()
    assert about["input_shape"] == [8]


def test_runs_without_undoor(file: Path) -> None:
    code = f"""
import sys, torch
guarded = torch.export.load({str(file)!r}).module()
for n in (1, 2, 7):
    logits, flagged, score = guarded(torch.zeros(n, 8))
    assert logits.shape == (n, 4) and flagged.shape == score.shape == (n,)
assert "undoor" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_nothing_of_this_machine(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        told = b"".join(archive.read(name) for name in archive.namelist())
    assert not any(mark in told for mark in (b"site-packages", b"stack_trace", b"/undoor/"))
