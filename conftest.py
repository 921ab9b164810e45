"""Fixtures that more than one test file uses."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import nn

from helpers.exported_files import FOLDER
from helpers.installed_package import Package, installed
from helpers.tiny import clean_images, toy_classifier
from undoor.classifier import Classifier
from undoor.device import CPU, FLOAT32, fast_bfloat16
from undoor.repair import Repair, repair
from undoor.scan.report import ScanReport
from undoor.scan.run import scan

# MLflow runs it, and warns of itself on import; tests/docs/test_deploy.py has it do so.
collect_ignore = ["src/undoor/deploy/mlflow_code.py"]
# One thread, here and in the processes that tests start, so that each worker of pytest-xdist keeps
# to one core; OMP_NUM_THREADS=2 tries two.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
# A busy machine is no failure.
settings.register_profile("undoor", deadline=None, max_examples=50)
settings.load_profile("undoor")


@pytest.fixture(scope="session", autouse=True)
def _exported_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All processes of pytest-xdist share what one of them has exported."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ[FOLDER] = str(run / "exported")


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
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """A package that is installed during the test, without entry points as yet."""
    with installed(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(params=["bfloat16", "float32"], scope="module")
def arithmetic(request: pytest.FixtureRequest) -> Iterator[str]:
    """The numbers that searches compute with: a test that uses this runs with both."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "float32":
            patch.setenv(FLOAT32, "1")
        elif not fast_bfloat16(CPU):
            why = f"{FLOAT32} is set" if FLOAT32 in os.environ else "this CPU has no fast bfloat16"
            pytest.skip(why)
        yield request.param


# Kept by each process for each arithmetic, since fixtures of a session know of one alone.
@functools.cache
def _toy_report(_bfloat16: bool) -> ScanReport:
    return scan(toy_classifier(backdoored=True, norm=True), clean_images())


@functools.cache
def _toy_repair(bfloat16: bool) -> Repair:
    classifier = toy_classifier(backdoored=True, norm=True)
    return repair(classifier, clean_images(), _toy_report(bfloat16))


@pytest.fixture
def toy_report() -> ScanReport:
    """What a scan says of the backdoored toy network (see tiny.py)."""
    return _toy_report(fast_bfloat16(CPU))


@pytest.fixture
def toy_repair() -> Repair:
    """The repair of the backdoored toy network."""
    return _toy_repair(fast_bfloat16(CPU))
