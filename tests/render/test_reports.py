"""All formats by their names."""

from __future__ import annotations

import pytest

from helpers.cli_fakes import make_report
from helpers.render_work import SUBJECT, VERDICTS, fixed, hostile, hostile_subject
from undoor.errors import UndoorError
from undoor.render import reports
from undoor.render.reports import REPORTS, check_formats
from undoor.render.results import Results
from undoor.vocabulary import Verdict


def test_files_are_distinct() -> None:
    assert len({report.file for report in REPORTS.values()}) == len(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_rendered(name: str, verdict: Verdict) -> None:
    """Text that fits into a file, whatever names there are."""
    for results in (
        Results(make_report(verdict), SUBJECT),
        Results(hostile(verdict), hostile_subject()),
    ):
        text = REPORTS[name].render(results)
        assert text.encode()
        assert text.endswith("\n") or text.endswith("</html>")
        assert "\x1b" not in text
        assert "\x00" not in text


@pytest.mark.parametrize("name", REPORTS)
def test_same_results_same_text(name: str) -> None:
    results = Results(make_report(), SUBJECT)
    assert REPORTS[name].render(results) == REPORTS[name].render(results)


@pytest.mark.parametrize("name", REPORTS)
def test_repair_is_told_of(name: str) -> None:
    told = Results(make_report(), SUBJECT, repair=fixed())
    assert REPORTS[name].render(told) != REPORTS[name].render(Results(make_report(), SUBJECT))


def test_unknown_format() -> None:
    with pytest.raises(UndoorError, match=r"expected a report of html, json, .*got 'pdf'"):
        check_formats(["html", "pdf"])


def test_missing_library_is_named_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "find_spec", lambda name: None)
    check_formats(["html", "sarif", "junit", "markdown", "json"])
    for name in ("cyclonedx", "model-card"):
        with pytest.raises(UndoorError, match=rf"pip install '\.\[{name}\]'"):
            check_formats([name])
