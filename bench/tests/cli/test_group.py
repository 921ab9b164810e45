"""What the commands of `undoor-bench` share."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file
from typer.testing import CliRunner

from bench_helpers.fakes import truth
from undoor.errors import UndoorError
from undoor.families.calibration import calibrated_on
from undoor_bench.cli import app
from undoor_bench.cli.group import chosen, rich_table, wanted


@pytest.mark.parametrize(
    ("only", "let_through"),
    [(None, True), ([], True), (["VGG"], True), (["sig", "VGG"], True), (["sig", "clean"], False)],
)
def test_wanted(only: list[str] | None, let_through: bool) -> None:
    assert wanted("mnist_VGG_wanet_0", only) == let_through


def test_held_out_models(tmp_path: Path) -> None:
    learned = calibrated_on()[0]
    for name in (learned, "another"):
        truth(tmp_path / name)
    assert len(chosen(tmp_path, None, held_out=False, trust_code=False)) == 2
    assert [s.name for s in chosen(tmp_path, None, held_out=True, trust_code=False)] == ["another"]
    with pytest.raises(UndoorError, match="no model whose name contains"):
        chosen(tmp_path, [learned], held_out=True, trust_code=False)


def test_code_of_a_zoo_runs_with_trust_alone_and_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "archs.py").write_text(
        "import torch\n"
        "def net():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))\n"
    )
    for name in ("one", "two"):
        truth(tmp_path / name)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))
        save_file(network.state_dict(), tmp_path / name / "weights.safetensors")
        (tmp_path / name / "model.toml").write_text(
            '[model]\nweights = "weights.safetensors"\narchitecture = "../archs.py:net"\n'
            "[input]\nshape = [1, 8, 8]\n"
        )
    (refused, _) = chosen(tmp_path, None, held_out=False, trust_code=False)
    with pytest.raises(UndoorError, match="--trust-code"):
        refused.load()
    assert "RUNS CODE" not in capsys.readouterr().err
    for subject in chosen(tmp_path, None, held_out=False, trust_code=True):
        assert subject.load().num_classes == 5
        warning = capsys.readouterr().err
        assert re.search(r"RUNS CODE that it names: \S+archs\.py:net", warning)
        assert re.search(r"may run: \S+archs\.py SHA-256 [0-9a-f]{64}", warning)
    with pytest.raises(UndoorError, match="--trust-code"):  # trusted that once, not remembered
        refused.load()


@pytest.mark.parametrize("name", ["detect", "curve", "seeds", "cost", "mitigate"])
def test_all_that_open_a_zoo_have_the_option(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
    assert "--trust-code" in re.sub(r"\x1b\[[\d;]*m", "", shown)


def test_narrow_terminals_cut_nothing_off() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=20)
    console.print(rich_table(["model", "b"], [["mnist_PlainCNN_clean_0", "a long text"]]))
    rows = [line.split("│") for line in stream.getvalue().splitlines() if "│" in line]
    assert "".join(row[1].strip() for row in rows) == "mnist_PlainCNN_clean_0"
