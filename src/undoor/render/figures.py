"""Figures as inline SVG that takes its ink from the page around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from undoor.align.unit_activations import UnitActivations
from undoor.families.registry import find_family
from undoor.render.svg import INK, inline_svg, use_ink
from undoor.render.text import class_label, plain
from undoor.scan.report import ClassEvidence, ScanReport

MUTED, SUSPECT = "#7f93a8", "#d1495b"
CLEAN, TRIGGERED, CORRECTED = "#4d88c4", "#d1495b", "#2a9d6f"
# Names of classes side by side, and upright.
LABELS_AT_MOST = 12
NAMES_AT_MOST = 60
LONGEST_UPRIGHT = 16
# The score of a class that stands out no more than the others; and the lowest and the highest one
# that is drawn: those of margins know no bounds.
EVEN = 1.0
MIN_SCORE, MAX_SCORE = 0.05, 1000.0


def has_scores(report: ScanReport) -> bool:
    """Return whether there is a score to draw: a working trigger for some class."""
    return bool(_panels(report))


def score_chart(report: ScanReport) -> str:
    """Return the chart of all scores as SVG: one bar per class, one panel per trigger family.

    All panels have one scale and show the score from which on a class would have been reported;
    suspected targets stand out, and bars beyond a score of 1000 end there. A class that no trigger
    reached has no bar, and a family without a working trigger no panel. The shared patch belongs to
    no class and is left out.
    """
    families = list(_panels(report))
    suspects = ", ".join(
        class_label(finding.target, report.class_names) for finding in report.findings
    )
    return inline_svg(
        score_figure(report),
        f"Bar chart of the score of each of {len(report.class_names)} classes for the trigger "
        f"families {', '.join(families) or 'none'}; suspected targets: {suspects or 'none'}",
    )


def score_figure(report: ScanReport) -> Figure:
    """Return the chart of all scores as a figure."""
    panels = _panels(report)
    figure = Figure(figsize=(9, 1.7 + 1.3 * max(1, len(panels))), layout="constrained")
    axes = figure.subplots(max(1, len(panels)), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    places = _places(report, panels)
    for axis, (family, evidence) in zip(axes, panels.items(), strict=False):
        _score_panel(axis, evidence, places, report)
        if (alarm := report.coverage.alarms.get(family)) is not None:
            _alarm_line(axis, alarm)
    if panels:
        axes[-1].set_ylim(*_limits(report, panels))
        _class_ticks(axes[-1], places, report)
    return figure


def _panels(report: ScanReport) -> dict[str, list[ClassEvidence]]:
    """Return the evidence that has a bar, by family."""
    panels: dict[str, list[ClassEvidence]] = {}
    for item in report.evidence:
        known = find_family(item.family)
        if item.size is not None and (known is None or known.moves != "shared"):
            panels.setdefault(item.family, []).append(item)
    return panels


def _limits(
    report: ScanReport, panels: Mapping[str, Sequence[ClassEvidence]]
) -> tuple[float, float]:
    """Return the scale of all panels: every score, and every line of alarm."""
    alarms = report.coverage.alarms
    shown = [_score(item) for each in panels.values() for item in each]
    shown += [alarms[family] for family in panels if family in alarms]
    return 0.8 * min([EVEN, *shown]), 1.5 * max([EVEN, *shown])


def _score(item: ClassEvidence) -> float:
    return min(max(item.score, MIN_SCORE), MAX_SCORE)


def _places(report: ScanReport, panels: Mapping[str, Sequence[ClassEvidence]]) -> dict[int, int]:
    """Return the place on the axis of each class that has a bar, the same in all panels.

    A class stands at its number; of very many classes, those with a bar stand side by side.
    """
    shown = sorted({_class_of(item) for each in panels.values() for item in each})
    many = len(report.class_names) > NAMES_AT_MOST
    return {number: place if many else number for place, number in enumerate(shown)}


def _score_panel(
    axis: Axes, evidence: Sequence[ClassEvidence], places: Mapping[int, int], report: ScanReport
) -> None:
    """Draw bars upwards for classes that stand out from the others, downwards for the reverse."""
    suspects = {finding.target for finding in report.findings}
    x = [places[_class_of(item)] for item in evidence]
    colours = [SUSPECT if item.target in suspects else MUTED for item in evidence]
    heights = [_score(item) - EVEN for item in evidence]
    axis.set_yscale("log")
    axis.bar(x, heights, bottom=EVEN, color=colours, width=0.8)
    axis.axhline(EVEN, color=INK, linewidth=0.8)
    axis.set_title(plain(evidence[0].family), loc="left", fontsize=10, color=INK, parse_math=False)
    axis.set_ylabel("score")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    use_ink(axis)


def _alarm_line(axis: Axes, alarm: float) -> None:
    axis.axhline(alarm, color=SUSPECT, linewidth=1.0, linestyle="--")
    axis.annotate(
        f"alarm line, {alarm:.3g}",
        (1, alarm),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=INK,
    )


def _class_of(item: ClassEvidence) -> int:
    """Return the class of the bar: the source in families that move one, else the target."""
    number = item.target if item.source is None else item.source
    assert number is not None
    return number


def _class_ticks(axis: Axes, places: Mapping[int, int], report: ScanReport) -> None:
    """Label every class by name, upright where there is no room side by side.

    Of too many classes, suspects are labelled by name and some others by number.

    Parameters
    ----------
    places
        The places on the axis by class.
    """
    few = len(places) <= LABELS_AT_MOST
    room = 90 // max(1, len(places)) if few else LONGEST_UPRIGHT
    suspects = {finding.target for finding in report.findings} & set(places)
    named = set(places) if len(places) <= NAMES_AT_MOST else suspects
    step = -(-len(places) // (2 * LABELS_AT_MOST))
    shown = [c for c, x in places.items() if c in named or x % step == 0]
    names = {c: _short(class_label(c, report.class_names), room) for c in named}
    labels = [names.get(c, str(c)) for c in shown]
    axis.set_xticks([places[c] for c in shown], labels)
    for label in axis.get_xticklabels():
        label.set_parse_math(False)
        label.set_fontsize(8 if few else 7)
        label.set_rotation(0 if few else 90)
    axis.set_xlim(min(places.values()) - 0.6, max(places.values()) + 0.6)


def activation_histograms(units: Sequence[UnitActivations]) -> str:
    """Return histograms as SVG: one small panel per unit.

    A panel shows the values on clean, triggered, and corrected triggered images.
    """
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
