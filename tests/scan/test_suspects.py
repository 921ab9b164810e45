"""Which of the classes that stand out are targets."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.family_names import BY_SOURCE
from helpers.scan_work import toy_work
from helpers.tiny import CLASSES, true_trigger
from undoor.families.calibration import calibration_for
from undoor.inversion.candidates import Candidate
from undoor.scan import suspects
from undoor.scan.confirm import Confirmed
from undoor.scan.decide import Thresholds
from undoor.scan.table import Table

TARGET = 0


def patch(target: int, size: float) -> Candidate:
    return Candidate(target, "patch", size, true_trigger())


@pytest.mark.parametrize(("grown", "natural"), [(0.5, False), (900.0, True)])
def test_a_trigger_by_the_source_that_grows_as_large_as_natural_ones_is_none(
    monkeypatch: pytest.MonkeyPatch, grown: float, natural: bool
) -> None:
    """A few images of one class leave it under a tiny patch in many clean networks."""
    work = toy_work()
    table = Table(work.classifier, calibration_for(10))
    sources = [patch(source, 0.5) for source in range(1, CLASSES)]
    table.add_sources(BY_SOURCE, sources, [(TARGET,)] * len(sources))
    confirmed = Confirmed(patch(TARGET, grown), (1,), 0.9)
    monkeypatch.setattr(suspects, "_confirmed", lambda *_: confirmed)
    p_all = np.full(CLASSES, 0.5)
    p_all[TARGET] = 0.001
    found = suspects.suspects_of(work, table, p_all, Thresholds())
    assert (TARGET in found.as_natural) == natural
    assert [finding.target for finding in found.suspects] == ([] if natural else [TARGET])
    assert found.evidence[TARGET].asr == confirmed.asr
