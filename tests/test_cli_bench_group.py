"""What the commands of `undoor bench` share."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from bench_fakes import truth
from rich.console import Console

from undoor.cli.bench.group import chosen, rich_table, wanted
from undoor.errors import UndoorError
from undoor.families.calibration import calibrated_on


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
    assert len(chosen(tmp_path, None, held_out=False)) == 2
    assert [s.name for s in chosen(tmp_path, None, held_out=True)] == ["another"]
    with pytest.raises(UndoorError, match="no model whose name contains"):
        chosen(tmp_path, [learned], held_out=True)


def test_narrow_terminals_cut_nothing_off() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=20)
    console.print(rich_table(["model", "b"], [["mnist_PlainCNN_clean_0", "a long text"]]))
    rows = [line.split("│") for line in stream.getvalue().splitlines() if "│" in line]
    assert "".join(row[1].strip() for row in rows) == "mnist_PlainCNN_clean_0"
