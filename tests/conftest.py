"""Fixtures that more than one test file uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bench_fakes import FakeZoo
from hypothesis import settings
from tiny import clean_images, toy_classifier
from torch import nn

from undoor.classifier import Classifier
from undoor.repair import Repair, repair
from undoor.scan.report import ScanReport
from undoor.scan.run import scan

torch.set_num_threads(1)
# A busy machine is no failure.
settings.register_profile("undoor", deadline=None, max_examples=50)
settings.load_profile("undoor")


@pytest.fixture
def make_classifier() -> Callable[..., Classifier]:
    """A tiny linear classifier, its inputs and classes as asked for."""

    def make(
        input_shape: tuple[int, ...] = (3, 4, 4), num_classes: int = 3, **options: object
    ) -> Classifier:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            size = int(torch.tensor(input_shape).prod())
            network = nn.Sequential(nn.Flatten(), nn.Linear(size, num_classes))
        return Classifier(network, input_shape=input_shape, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def classifier(make_classifier: Callable[..., Classifier]) -> Classifier:
    """Three classes of 4 x 4 colour images in [0, 1]."""
    return make_classifier()


@pytest.fixture
def zoo(tmp_path: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> FakeZoo:
    """Models whose backdoors are known, and a scan that computes nothing."""
    return FakeZoo(tmp_path, classifier, monkeypatch)


@pytest.fixture(scope="session")
def toy_report() -> ScanReport:
    """What a scan says of the backdoored toy network (see tiny.py)."""
    return scan(toy_classifier(backdoored=True, norm=True), clean_images())


@pytest.fixture(scope="session")
def toy_repair(toy_report: ScanReport) -> Repair:
    """The repair of the backdoored toy network."""
    return repair(toy_classifier(backdoored=True, norm=True), clean_images(), toy_report)
