"""docs/data.md: its code runs, and its commands read what the code wrote."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
from cli_fakes import Cli

from undoor.clean_set import CleanSet

ROOT = Path(__file__).parent
TEXT = (ROOT.parent / "docs" / "data.md").read_text(encoding="utf-8")
NETS = """
from torch import nn

def net(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, num_classes))
"""
MODEL = """
[model]
weights = "weights.safetensors"
architecture = "nets.py:net"
arguments = { num_classes = 3 }
[input]
shape = [3, 32, 32]
bounds = [0.0, 1.0]
[classes]
names = ["NAMES"]
"""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line[2:] for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("undoor ")]


def model(folder: Path, names: str) -> None:
    import torch
    from safetensors.torch import save_file

    (folder / "nets.py").write_text(NETS)
    (folder / "model.toml").write_text(MODEL.replace("NAMES", names))
    weights = {"1.weight": torch.zeros(3, 3 * 32 * 32), "1.bias": torch.zeros(3)}
    save_file(weights, folder / "weights.safetensors")


def test_every_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = Cli(tmp_path / "cli", monkeypatch)
    sets: list[CleanSet] = []
    cli.during_scan = lambda classifier, clean: sets.append(clean)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    exec(compile("\n".join(blocks("python")), "data.md", "exec"), {})
    assert capsys.readouterr().out == "[10, 10, 10]\n"
    shutil.copytree(ROOT / "data" / "hf_saved", "saved")
    for arguments in commands():
        saved = "saved/" in arguments
        model(work, '", "'.join(["owl", "cat", "dog"] if saved else ["stop", "give way", "go"]))
        # The scan is a fake whose triggers have another size than these images.
        result = cli.run(*arguments[: arguments.index("--out")])
        assert result.exit_code == 1, result.stderr
        assert "skipped" not in result.stderr
    # Of class 0 of the model in the order of the sections.
    assert [Counter(clean.labels.tolist())[0] for clean in sets] == [10, 10, 10, 1, 10]


def test_there_are_examples() -> None:
    assert len(commands()) == 5
    assert len(blocks("python")) == 5
