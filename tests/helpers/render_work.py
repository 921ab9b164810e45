"""Results that reports are made of in the tests, hostile ones among them."""

from __future__ import annotations

from dataclasses import replace

from helpers.cli_fakes import FakeRepair, make_report
from undoor.render.subject import Subject
from undoor.repair import Repair
from undoor.scan.report import ScanReport
from undoor.vocabulary import Verdict

SUBJECT = Subject("models/sign 1.toml", "clean/", "SignNet", 1234567, (3, 4, 4), (0.0, 1.0))
HOSTILE = ("]]><x>&\x00\x1b[31m", "a|b\n# c `d` [e](f)", '"\ud800\uffff{"')
VERDICTS: tuple[Verdict, ...] = ("backdoored", "clean", "inconclusive")


def hostile(verdict: Verdict) -> ScanReport:
    """Names and reasons that break what does not escape them."""
    return make_report(verdict, names=HOSTILE, reasons=HOSTILE)


def hostile_subject() -> Subject:
    return replace(SUBJECT, model=HOSTILE[0], data=HOSTILE[1], network=HOSTILE[2])


def fixed() -> Repair:
    return FakeRepair()  # type: ignore[return-value]
