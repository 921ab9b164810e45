"""Charts of what a scan found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from matplotlib.axes import Axes

from helpers.cli_fakes import NAMES, make_report
from helpers.family_names import BY_SOURCE, SHARED
from undoor.render.figures import has_scores, score_chart, score_figure
from undoor.scan.coverage import Coverage
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
    bars = watched(monkeypatch)
    chart = score_chart(replace(made, evidence=(*made.evidence, *sources, several)))
    assert f"the trigger families patch, additive, {BY_SOURCE};" in chart
    assert len(bars) == 3
    assert bars[0][0] == list(range(len(NAMES)))
    # From 1, the score of a class like the others.
    assert bars[2] == ([0, 2], [1.0, 3.0])


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], list[float]]]:
    """The places and lengths of all bars that are drawn from now on, by panel."""
    bars: list[tuple[list[int], list[float]]] = []
    draw = Axes.bar

    def bar(axis: Axes, x: list[int], height: list[float], **options: Any) -> object:
        bars.append((list(x), list(height)))
        return draw(axis, x, height, **options)

    monkeypatch.setattr(Axes, "bar", bar)
    return bars


def test_where_nothing_was_found_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar of a class that no trigger reached, and no panel without a bar."""
    evidence = (
        ClassEvidence(0, "patch", None, 0.4, 1.0),
        ClassEvidence(1, "patch", 4.0, 3.0, 0.2),
        ClassEvidence(0, "additive", None, 1.0, 1.0),
    )
    report = replace(make_report("clean"), evidence=evidence)
    bars = watched(monkeypatch)
    assert "the trigger families patch;" in score_chart(report)
    assert bars == [([1], [2.0])]
    assert has_scores(report)
    assert not has_scores(replace(report, evidence=evidence[:1]))


def test_a_score_without_bounds_leaves_room_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a margin is e to the power of up to 100."""
    evidence = tuple(
        ClassEvidence(k, "patch margin", 36.0, score, 0.1, margin=2.0)
        for k, score in enumerate((1e40, 2.0))
    )
    report = replace(make_report("clean"), evidence=evidence)
    bars = watched(monkeypatch)
    (axis,) = score_figure(report).axes
    assert bars == [([0, 1], [999.0, 1.0])]
    assert axis.get_ylim()[1] < 1e4


def test_one_scale_and_the_line_of_alarm() -> None:
    """Each panel has its own line, all the same limits, which hold every bar and line."""
    report = make_report()
    covered = replace(
        report.coverage,
        families=tuple(
            replace(item, alarm=alarm)
            for item, alarm in zip(report.coverage.families, (6.0, 70.0), strict=True)
        ),
    )
    axes = score_figure(replace(report, coverage=covered)).axes
    assert len({axis.get_ylim() for axis in axes}) == 1
    assert axes[0].get_ylim()[0] < 0.2
    assert axes[0].get_ylim()[1] > 70
    told = [" ".join(text.get_text() for text in axis.texts) for axis in axes]
    assert told == ["alarm line, 6", "alarm line, 70"]
    older = replace(report, coverage=Coverage())
    assert not any(list(axis.texts) for axis in score_figure(older).axes)


def test_classes_have_their_names() -> None:
    for count in (3, 43):
        names = tuple(f"sign {k}" for k in range(count))
        (_, axis) = score_figure(make_report(names=names)).axes
        assert [label.get_text() for label in axis.get_xticklabels()] == [
            f"{k} sign {k}" for k in range(count)
        ]
