"""A report format from another package: one record and an entry point."""

from __future__ import annotations

import pytest

from helpers.cli_fakes import Cli
from helpers.installed_package import Package
from undoor.errors import UndoorError
from undoor.render.reports import REPORTS, check_formats, reports
from undoor.vocabulary import REPORT_GROUP


def test_it_is_written_beside_the_others(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    package.declares(REPORT_GROUP, line="helpers.added:LINE")
    assert list(reports()) == [*REPORTS, "line"]
    cli = Cli(package.folder, monkeypatch)
    result = cli.scan("--out", cli.out, "--report", "line,markdown")
    assert result.exit_code == 1
    assert (cli.out / "line.txt").read_text() == "backdoored\n"
    assert (cli.out / "report.md").is_file()


def test_nothing_is_left_of_it() -> None:
    assert reports() == REPORTS


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"three": "helpers.added:NUMBER"}, r"to be an undoor\.render\.reports\.Report, got int"),
        ({"html": "helpers.added:LINE"}, "different names, got 'html' again"),
        ({"line": "helpers.added:SCAN"}, "a file of its own in the output folder, got 'scan.json'"),
        ({"line": "helpers.added:PAGE"}, "a file of its own .*, got 'report.html'"),
        ({"line": "helpers.added:OUTSIDE"}, r"a file of its own .*, got '\.\./line\.txt'"),
        ({"line": "helpers.added:HIDDEN"}, r"a file of its own .*, got '\.undoor-run'"),
        ({"a": "helpers.added:LINE", "b": "helpers.added:LINE"}, "entry point b .*'line.txt'"),
    ],
)
def test_what_is_no_report_is_refused(
    package: Package, points: dict[str, str], message: str
) -> None:
    package.declares(REPORT_GROUP, **points)
    with pytest.raises(UndoorError, match=message):
        check_formats(["html"])


def test_a_module_that_is_missing_is_named_before_the_work(package: Package) -> None:
    package.declares(REPORT_GROUP, line="helpers.added:MISSING")
    with pytest.raises(UndoorError, match=r"not installed \(no_such_module_anywhere\); install it"):
        check_formats(["line"])
