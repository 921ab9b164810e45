"""JUnit XML: valid, readable by another library, nothing lost."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase

from helpers.cli_fakes import make_report
from helpers.render_work import SUBJECT, VERDICTS, fixed, hostile, hostile_subject
from undoor.render.junit import junit
from undoor.vocabulary import Verdict

TestCase.__test__ = False  # not one of pytest's


@cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(Path(__file__).parents[1] / "data" / "junit.xsd")


def cases(text: str) -> list[TestCase]:
    """Of a valid report, as another library reads it; its counts must be right."""
    schema().validate(text)
    (suite,) = JUnitXml.fromstring(text.encode())
    found = list(suite)
    outcomes = [type(result) for case in found for result in case.result]
    assert suite.tests == len(found)
    assert suite.failures == outcomes.count(Failure)
    assert suite.errors == outcomes.count(Error)
    assert suite.skipped == outcomes.count(Skipped)
    return found


def test_schema_is_strict() -> None:
    text = junit(make_report(), SUBJECT)
    for wrong in (text.replace("failures=", "fails="), text.replace("failure", "fault")):
        assert not schema().is_valid(wrong)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_valid(verdict: Verdict) -> None:
    assert len(cases(junit(make_report(verdict), SUBJECT))) == 4
    assert len(cases(junit(hostile(verdict), hostile_subject(), fixed()))) == 4


def test_a_target_is_a_failure() -> None:
    scan, stop, target, go = cases(junit(make_report(), SUBJECT, fixed()))
    assert [case.result for case in (scan, stop, go)] == [[], [], []]
    (failure,) = target.result
    assert isinstance(failure, Failure)
    assert target.name == "class 1 yield is no target of a backdoor"
    assert target.classname == "models/sign 1.toml"
    assert "patch" in failure.message
    assert "works on: 97.0 % of held-out images" in failure.text
    assert "with the repair it works on: 1.0 %" in failure.text


def test_clean_passes() -> None:
    assert all(case.is_passed for case in cases(junit(make_report("clean"), SUBJECT)))


def test_nothing_is_known_where_the_scan_is_inconclusive() -> None:
    scan, *classes = cases(junit(make_report("inconclusive"), SUBJECT))
    assert isinstance(scan.result[0], Error)
    assert "because of the tests" in scan.result[0].text
    assert all(case.is_skipped for case in classes)
