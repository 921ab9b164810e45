"""The words of each reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.cli_fakes import make_report
from helpers.every_reason import EVERY_REASON
from undoor.render.documents.scan import Scan
from undoor.render.reasons import reason_text
from undoor.scan.reason import AccuracyFacts, ClassFacts, Reason
from undoor.spaces.images import IMAGES
from undoor.vocabulary import NEAR_CHANCE, TARGET_FOUND, ReasonCode

NAMES = ("a", "b", "c")
PARTS: dict[ReasonCode, tuple[str, ...]] = {
    "target found": ("a patch", "size 3", "93%", "all other classes", "class 1 (b)", "20.0 times"),
    "stands out": ("class 1 (b)", "additive", "p = 0.05 over all families", "not far enough"),
    "as large as natural": ("class 0 (a)", "patch by source triggers (size 0.8", "as large as"),
    "moves few images": ("class 2 (c)", "shared patch triggers (size 2, 9.0", "moves only 30%"),
    "several targets": ("patch triggers for a quarter of the classes", "more than are named"),
    "no trigger works": ("nothing to compare",),
    "nothing stands out": ("no class can be reached",),
    "near chance": ("only 12 % of the clean images", "accuracy is 91 %", "multiply scale by 255"),
    "no linear head": ("last layer is linear",),
    "flat scores": ("the scores are flat: for 75%",),
    "odd graph": ("aten::gt at net.py:7, and 1 more", "--accept-graph", "accept_graph=True"),
    "accepted graph": ("accepted: the network compares values",),
    "graph not read": ("after 20,000 sample passes and 62 s", "graph was not looked at"),
    "runs disagree": ("predictions depend on the batch",),
    "budget ended": ("after 20,000", "warp, blend were not looked", "of patch were", "second look"),
    "as written": ("as somebody wrote it",),
}


@pytest.mark.parametrize("reason", EVERY_REASON, ids=lambda reason: reason.code)
def test_words(reason: Reason) -> None:
    text = reason_text(reason, NAMES, IMAGES.noun)
    for part in PARTS[reason.code]:
        assert part in text


def test_a_target_for_some_sources() -> None:
    facts = ClassFacts(1, "additive", 3.0, 20.0, 0.001, asr=0.93, sources=1)
    text = reason_text(Reason(TARGET_FOUND, facts), NAMES)
    assert text.startswith("an additive trigger")
    assert "from 1 of 2 other classes" in text


def test_a_class_that_is_called_by_its_number_is_named_once() -> None:
    facts = ClassFacts(1, "patch", 3.0, 20.0, 0.001, asr=0.93, sources=2)
    assert "to class 1;" in reason_text(Reason(TARGET_FOUND, facts), ("0", "1", "2"))


def test_facts_that_do_not_fit_the_model_are_no_traceback() -> None:
    """A file may have been changed by hand."""
    facts = ClassFacts(9, "", 3.0, 20.0, 0.001, asr=0.93, sources=1)
    assert "to class 9;" in reason_text(Reason(TARGET_FOUND, facts), NAMES)
    fed = AccuracyFacts(0.1, 10, "upside down", 0.9)
    assert "upside" not in reason_text(Reason(NEAR_CHANCE, fed), NAMES)


def test_the_document_of_a_scan_holds_code_facts_and_text() -> None:
    report = replace(make_report(names=NAMES), reasons=EVERY_REASON)
    document = report.to_json()
    assert document["reasons"][4] == {
        "code": "several targets",
        "facts": {"family": "patch"},
        "text": reason_text(EVERY_REASON[4], NAMES, IMAGES.noun),
    }
    assert [item["text"] for item in document["reasons"]] == [
        reason_text(reason, NAMES, IMAGES.noun) for reason in EVERY_REASON
    ]
    document["model"]["sha256"] = document["model_sha256"]
    read = Scan.model_validate(document)
    assert read.model_dump(mode="json", by_alias=True)["reasons"] == document["reasons"]
