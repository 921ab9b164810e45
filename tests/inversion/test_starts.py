"""Where the searches for a trigger of one class start."""

from __future__ import annotations

import torch

from helpers.scan_work import work_on
from helpers.tiny import TARGET, clean_images, toy_classifier
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.inversion.candidates import Search
from undoor.inversion.starts import started


def test_patches_start_from_squares_and_noise() -> None:
    work = work_on(toy_classifier(backdoored=True), clean_images())
    pool = work.images.pool(TARGET)
    starts = started(work, Search(TARGET, pool), "patch", 2)
    assert [search.start is None for search in starts] == [False, False, True]
    assert all(search.target == TARGET and search.pool is pool for search in starts)
    assert work.run.meter.passes > 0


def test_other_families_start_from_noise() -> None:
    work = work_on(toy_classifier(backdoored=True), clean_images())
    starts = started(work, Search(TARGET, work.images.pool(TARGET)), "additive", 2)
    assert [search.start for search in starts] == [None, None]
    assert work.run.meter.passes == 0


def test_patches_of_vectors_have_no_squares() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    classifier = Classifier(network, input_shape=(4,), bounds=(0.0, 1.0))
    clean = CleanSet(torch.rand(8, 4), torch.arange(8) % 2)
    work = work_on(classifier, clean)
    assert len(started(work, Search(0, work.images.pool(0)), "patch", 2)) == 2
