"""What a scan costs per sample pass, by the first passes of every family."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench_helpers.rival_work import CLEAN
from helpers.tiny import CLASSES, toy_classifier
from undoor.errors import UndoorError
from undoor.scan.screening import searched
from undoor_bench.real import record
from undoor_bench.real.measure import measured_families

SAMPLE = 40


def test_every_family_is_begun_and_ends_behind_its_sample() -> None:
    classifier = toy_classifier(backdoored=True)
    found = measured_families(classifier, CLEAN, sample=SAMPLE)
    assert [each["family"] for each in found] == [*searched(classifier)]
    for each in found:
        assert each["whole"] or each["passes"] >= SAMPLE
        assert each["passes"] < SAMPLE + 5 * len(CLEAN)
        assert each["peak_bytes"] > 0
    totals = record.totals(found)
    assert totals["measured"] == sum(each["passes"] for each in found)
    assert totals["ratio"] > 0
    assert totals["processor_seconds"] > 0


def test_images_that_a_model_does_not_know_are_refused() -> None:
    turned = replace(CLEAN, labels=(CLEAN.labels + 1) % CLASSES)
    with pytest.raises(UndoorError, match="predictions fit the images"):
        measured_families(toy_classifier(backdoored=True), turned, sample=SAMPLE)
