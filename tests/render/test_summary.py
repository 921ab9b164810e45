"""The sentences that a reader in a hurry gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpers.cli_fakes import FakeEvaluation, FakeRepair, FakeTarget, make_report
from helpers.render_work import VERDICTS, fixed
from undoor.render.summary import odds, summarise
from undoor.repairs.adaptation import Adaptation
from undoor.vocabulary import Cause, Verdict


def test_backdoored() -> None:
    told = summarise(make_report())
    assert told.title == "Backdoored"
    assert "fewer than 1 in a million" in told.how_sure[0]
    assert told.repaired == ("Nothing yet: the model is as it was.",)
    assert told.to_do[0] == "Do not deploy this model."


def test_repaired() -> None:
    told = summarise(make_report(), fixed())
    assert "1.0 % of images are still predicted as it, 90.0 %" in told.repaired[0]
    assert told.to_do[0].startswith("Serve the guarded pair")
    assert told.remains[-1] == "The weights alone still hold the backdoor."


def test_what_was_measured_outweighs_the_estimate() -> None:
    evaluation: Any = FakeEvaluation()
    told = summarise(make_report(), fixed(), evaluation)
    assert "With the true trigger, 90.0 % of images" in told.remains[0]


def test_adapted() -> None:
    target = FakeTarget(adapted=Adaptation(40, 30, 20, 0.0, 30, True), sia=None)
    repair: Any = FakeRepair(targets=(target,))
    assert "inputs like those flagged in operation" in summarise(make_report(), repair).repaired[0]


@pytest.mark.parametrize("quick", [True, False])
def test_a_quick_repair_says_so(quick: bool) -> None:
    repair: Any = FakeRepair(targets=(FakeTarget(quick=quick),))
    told = summarise(make_report(), repair).repaired[0]
    assert told.endswith("This is a quick repair: a full one recovers more.") == quick


def test_of_many_targets_two_are_told_of() -> None:
    report = make_report()
    many = tuple(replace(report.findings[0], target=i % 3) for i in range(5))
    told = summarise(replace(report, findings=many)).how_sure
    assert len(told) == 3
    assert told[-1] == "The report has 3 more targets."


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_class_repaired_on_request(verdict: Verdict) -> None:
    """Whatever the verdict, what was repaired is told, and no backdoor is claimed where none is."""
    told = summarise(make_report(verdict), fixed())
    assert told.repaired[0].startswith("Class 1 yield")
    claimed = "The weights alone still hold the backdoor." in told.remains
    assert claimed == (verdict == "backdoored")


def test_reasons_of_doubt() -> None:
    assert summarise(make_report("inconclusive")).how_sure == ("Because of the tests.",)
    assert (
        "nothing here shows that the model is clean"
        in summarise(make_report("inconclusive")).remains[0]
    )
    many = make_report("inconclusive", reasons=("a", "b", "c", "d"))
    assert summarise(many).how_sure == ("A.", "B.", "The report has 2 more reasons.")


@pytest.mark.parametrize(
    ("p_value", "words"),
    [(0.0, "fewer than 1 in a million"), (0.01, "about 1 in 100"), (0.2, "about 2 in 10")],
)
def test_odds(p_value: float, words: str) -> None:
    assert odds(p_value) == words


@pytest.mark.parametrize(
    ("causes", "told"),
    [
        (("budget",), "larger `--max-passes`"),
        (("labels",), "`undoor inspect --data`"),
        (("scores",), "in front of the saturated"),
        (("images",), "more clean images of each class"),
        (("classes",), "undoor calibrate"),
    ],
)
def test_advice_follows_from_the_cause(causes: tuple[Cause, ...], told: str) -> None:
    """To correct what stands out is no advice where nothing can have stood out."""
    advice = " ".join(summarise(replace(make_report("inconclusive"), causes=causes)).to_do)
    assert told in advice
    assert "--suspects" not in advice
    without = " ".join(summarise(make_report("inconclusive")).to_do)
    assert "--suspects 2" in without
    assert told not in without


def test_a_poor_repair_is_not_to_be_served() -> None:
    repair: Any = FakeRepair(targets=(FakeTarget(sia=0.31),))
    told = summarise(make_report(), repair).to_do
    assert told[0] == "Do not serve this model: the repair is poor."
