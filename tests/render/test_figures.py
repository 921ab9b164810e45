"""Charts of what a scan found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from matplotlib.axes import Axes

from helpers.cli_fakes import NAMES, make_report
from helpers.family_names import BY_SOURCE, SHARED
from undoor.render.figures import score_chart
from undoor.scan.report import ClassEvidence


def test_sources_have_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar a source stands where the source is, wherever its images go; the patch that all classes
    share stands for none."""
    made = make_report()
    sources = [
        ClassEvidence(target, BY_SOURCE, 4.0, 2.0 + k, 0.5, source=k)
        for k, target in ((0, 1), (2, None))
    ]
    several = ClassEvidence(None, SHARED, 9.0, 1.0, 0.5)
    bars: list[tuple[list[int], list[float]]] = []
    draw = Axes.bar

    def watched(axis: Axes, x: list[int], height: list[float], **options: Any) -> object:
        bars.append((list(x), list(height)))
        return draw(axis, x, height, **options)

    monkeypatch.setattr(Axes, "bar", watched)
    chart = score_chart(replace(made, evidence=(*made.evidence, *sources, several)))
    assert f"the trigger families patch, additive, {BY_SOURCE};" in chart
    assert len(bars) == 3
    assert bars[0][0] == list(range(len(NAMES)))
    assert bars[2] == ([0, 2], [2.0, 4.0])
