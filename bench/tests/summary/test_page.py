"""The page of results is what its command makes of the committed records."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from undoor.errors import UndoorError
from undoor_bench.cli import app
from undoor_bench.summary.committed import lines, numbers, rates, scan_record
from undoor_bench.summary.page import SECTIONS, page
from undoor_bench.summary.repairs import average, of, quick

RESULTS = Path(__file__).parents[2] / "results"
LINK = re.compile(r"\]\(([^)#:]+)\)")


def test_the_page_is_that_of_the_records() -> None:
    """If this fails, run `undoor-bench tables bench/results`."""
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == page(RESULTS)


def test_the_command_writes_it(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(RESULTS, folder)
    (folder / "README.md").unlink()
    result = CliRunner().invoke(app, ["tables", str(folder)])
    assert result.exit_code == 0
    assert (folder / "README.md").read_text(encoding="utf-8") == page(RESULTS)


def test_tables_are_tables() -> None:
    """Every line of a table has as many cells as its head."""
    heads = 0
    for block in page(RESULTS).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        heads += bool(rows)
        assert len({row.count("|") for row in rows}) <= 1, rows[0]
    assert heads >= len(SECTIONS) - 2


def test_records_that_are_named_are_there() -> None:
    named = LINK.findall(page(RESULTS))
    assert len(named) > 20
    assert all((RESULTS / name).exists() for name in named)


def test_missing_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"at .*fourth\.csv, found no file"):
        page(tmp_path)
    empty = tmp_path / "empty.csv"
    empty.write_text("a,b\n")
    with pytest.raises(UndoorError, match="found none"):
        lines(empty)


def test_a_line_is_the_record_that_it_came_from() -> None:
    line = lines(RESULTS / "detect/held_out.csv")[0]
    record = scan_record(line)
    assert record["targets"] == numbers(line["targets"])
    assert record["scan"]["passes"] == int(line["passes"])
    assert [target["target"] for target in record["scan"]["targets"]] == numbers(line["named"])


def test_means_are_means() -> None:
    """Counted here in another way."""
    found = lines(RESULTS / "mitigate/cifar10.csv")
    chosen = [line for line in found if (line["method"], line["amount"]) == ("quick", "10 a class")]
    expected = sum(float(line["sia"]) for line in chosen) / len(chosen)
    assert average(of(found, method="quick", amount="10 a class"), "sia") == pytest.approx(expected)
    assert f"| 10 a class | all | {len(chosen)} | {100 * expected:.1f} |" in quick(RESULTS)
    assert rates(chosen[0])["acc"] == float(chosen[0]["acc"])
