"""Fixtures of the tests of the benchmark; those of the root serve both."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench_helpers.fakes import FakeZoo
from undoor.classifier import Classifier


@pytest.fixture
def zoo(tmp_path: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> FakeZoo:
    """Models whose backdoors are known, and a scan that computes nothing."""
    return FakeZoo(tmp_path, classifier, monkeypatch)
