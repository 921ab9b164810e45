"""Which waves push inputs to which class."""

from __future__ import annotations

import pytest

from helpers.tiny import CLASSES, clean_images, toy_classifier
from undoor.families.frequency import waves
from undoor.inversion.wave_starts import pulls


@pytest.mark.usefixtures("arithmetic")
def test_waves_pull() -> None:
    """Only the share of a class among inputs of others counts, and waves differ in it."""
    classifier, clean = toy_classifier(backdoored=True), clean_images()
    probes = waves(classifier.input_shape, classifier.bounds)
    pull = pulls(classifier, clean.images, clean.labels, probes[::20])
    assert pull.shape == (len(probes[::20]), CLASSES)
    assert float(pull.min()) >= 0
    assert float(pull.max()) <= 1
    own = clean.labels == 0
    alone = pulls(classifier, clean.images[own], clean.labels[own], probes[:1])
    assert float(alone[0, 0]) == 0
