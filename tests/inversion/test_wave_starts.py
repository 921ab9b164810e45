"""Which waves push inputs to which class."""

from __future__ import annotations

import pytest

from helpers.scan_work import toy_work
from helpers.tiny import CLASSES, clean_images, toy_classifier
from undoor.families.frequency import FREQUENCY, waves
from undoor.families.patch import PATCH
from undoor.inversion.candidates import Search
from undoor.inversion.wave_starts import from_probes, probe_margins


@pytest.mark.usefixtures("arithmetic")
def test_waves_move_inputs() -> None:
    """Only inputs of other classes count, and waves differ in what they do."""
    classifier, clean = toy_classifier(backdoored=True), clean_images()
    probes = waves(classifier.input_shape, classifier.bounds)[::20]
    margins = probe_margins(classifier, clean.images, clean.labels, probes)
    assert margins.shape == (len(probes), CLASSES)
    assert float(margins.std(0).min()) > 0
    alone = clean.labels == 0
    assert (
        float(probe_margins(classifier, clean.images[alone], clean.labels[alone], probes)[0, 0])
        == 0
    )


def test_searches_start_from_the_clearest_waves() -> None:
    work = toy_work()
    searches = [Search(target, work.images.pool(target)) for target in range(CLASSES)]
    starts = from_probes(work, searches, FREQUENCY, 2)
    assert [[search.target for search in each] for each in starts] == [
        [k, k] for k in range(CLASSES)
    ]
    assert all(first.start is not second.start for first, second in starts)
    assert from_probes(work, searches, FREQUENCY, 0) == [[]] * CLASSES
    assert from_probes(work, searches, PATCH, 2) == [[]] * CLASSES
