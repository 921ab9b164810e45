"""docs/data.md: its code runs, and its commands read what the code wrote."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest

from helpers.cli_fakes import Cli, write_model
from undoor.clean_set import CleanSet

ROOT = Path(__file__).parents[1]
TEXT = (ROOT.parent / "docs" / "data.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line[2:] for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("undoor ")]


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
        write_model(work, ["owl", "cat", "dog"] if saved else ["stop", "give way", "go"], side=32)
        cli.trust("model.toml")
        # The scan is a fake whose triggers have another size than these images.
        result = cli.run(*arguments[: arguments.index("--out")])
        assert result.exit_code == 1, result.stderr
        assert "skipped" not in result.stderr
    # Of class 0 of the model in the order of the sections.
    assert [Counter(clean.labels.tolist())[0] for clean in sets] == [10, 10, 10, 1, 10]


def test_there_are_examples() -> None:
    assert len(commands()) == 5
    assert len(blocks("python")) == 5
