"""Figures as inline SVG that takes its ink from the page around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from undoor.align.inspect import UnitActivations
from undoor.families.registry import find_family
from undoor.render.svg import INK, inline_svg, use_ink
from undoor.render.text import class_label, plain
from undoor.scan.report import ClassEvidence, ScanReport

MUTED, SUSPECT = "#7f93a8", "#d1495b"
CLEAN, TRIGGERED, CORRECTED = "#4d88c4", "#d1495b", "#2a9d6f"
LABELS_AT_MOST = 12


def score_chart(report: ScanReport) -> str:
    """Bars of every class's score, one panel a trigger family; suspected targets stand out. The
    patch that all classes share belongs to none of them and has no bar."""
    families = _families(report)
    suspects = ", ".join(str(finding.target) for finding in report.findings) or "none"
    return inline_svg(
        score_figure(report),
        f"Bar chart of the score of each of {len(report.class_names)} classes for the trigger "
        f"families {', '.join(families) or 'none'}; suspected targets: {suspects}",
    )


def score_figure(report: ScanReport) -> Figure:
    """The same as a figure."""
    families = _families(report)
    figure = Figure(figsize=(9, 0.7 + 1.9 * max(1, len(families))), layout="constrained")
    axes = figure.subplots(max(1, len(families)), 1, squeeze=False)[:, 0]
    for axis, family in zip(axes, families, strict=False):
        _score_panel(axis, [e for e in report.evidence if e.family == family], report)
    return figure


def _families(report: ScanReport) -> list[str]:
    return [
        name
        for name in dict.fromkeys(item.family for item in report.evidence)
        if (known := find_family(name)) is None or known.moves != "shared"
    ]


def _score_panel(axis: Axes, evidence: Sequence[ClassEvidence], report: ScanReport) -> None:
    suspects = {finding.target for finding in report.findings}
    x = [_place(item) for item in evidence]
    colours = [SUSPECT if item.target in suspects else MUTED for item in evidence]
    axis.bar(x, [item.score for item in evidence], color=colours, width=0.8)
    others = [item.score for item in evidence if item.target not in suspects]
    if suspects and others:
        axis.axhline(max(others), color=INK, linewidth=0.8, linestyle="--")
        axis.annotate(
            "highest of the other classes",
            (1, max(others)),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=INK,
        )
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.set_title(plain(evidence[0].family), loc="left", fontsize=10, color=INK, parse_math=False)
    axis.set_ylabel("times smaller")
    _class_ticks(axis, x, suspects, report)
    use_ink(axis)


def _place(item: ClassEvidence) -> int:
    """The class that the bar stands for: the source, in families that go by it."""
    place = item.target if item.source is None else item.source
    assert place is not None
    return place


def _class_ticks(
    axis: Axes, classes: Sequence[int], suspects: set[int], report: ScanReport
) -> None:
    """Every class by name where there is room; otherwise some numbers, the suspects among them."""
    if len(classes) <= LABELS_AT_MOST:
        room = 90 // len(classes)
        shown = list(classes)
        labels = [_short(class_label(c, report.class_names), room) for c in shown]
    else:
        step = -(-len(classes) // (2 * LABELS_AT_MOST))
        crowded = {c for c in classes if any(0 < abs(c - s) < 2 * step for s in suspects)}
        shown = [c for c in classes if c in suspects or (c % step == 0 and c not in crowded)]
        labels = [str(c) for c in shown]
    axis.set_xticks(shown, labels)
    for label in axis.get_xticklabels():
        label.set_parse_math(False)
        label.set_fontsize(8)
    axis.margins(x=0.01)


def activation_histograms(units: Sequence[UnitActivations]) -> str:
    """One small panel a unit: its values on clean, triggered and corrected triggered images."""
    columns = min(3, max(1, len(units)))
    rows = max(1, -(-len(units) // columns))
    figure = Figure(figsize=(3 * columns, 0.5 + 2.0 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, unit in zip(axes, units, strict=False):
        _histogram(axis, unit)
    for axis in axes[len(units) :]:
        axis.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        legend = figure.legend(
            handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9
        )
        for text in legend.get_texts():
            text.set_color(INK)
    names = ", ".join(f"{plain(u.site)} unit {u.unit}" for u in units)
    return inline_svg(
        figure, f"Histograms of clean, triggered and corrected activations of the units {names}"
    )


def _histogram(axis: Axes, unit: UnitActivations) -> None:
    series: list[tuple[str, NDArray[np.float32], str]] = [
        ("clean", unit.clean.numpy(), CLEAN),
        ("triggered", unit.triggered.numpy(), TRIGGERED),
        ("triggered, corrected", unit.corrected.numpy(), CORRECTED),
    ]
    values = np.concatenate([v for _, v, _ in series])
    low, high = np.quantile(values, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, 41)
    for name, sample, colour in series:
        filled = name == "clean"
        counts = np.histogram(np.clip(sample, edges[0], edges[-1]), edges)[0] / len(sample)
        axis.stairs(
            counts,
            edges,
            color=colour,
            label=name,
            fill=filled,
            alpha=0.45 if filled else 1.0,
            linewidth=1.4,
        )
    axis.set_yscale("log")
    axis.set_title(
        f"{_short(plain(unit.site), 26)}, unit {unit.unit}",
        fontsize=9,
        loc="left",
        color=INK,
        parse_math=False,
    )
    axis.set_yticks([])
    axis.locator_params(axis="x", nbins=4)
    axis.minorticks_off()
    use_ink(axis)


def _short(text: str, at_most: int) -> str:
    return text if len(text) <= at_most else f"{text[: at_most - 1]}…"
