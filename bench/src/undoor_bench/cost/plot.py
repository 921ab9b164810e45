"""The picture of `undoor-bench cost`."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from undoor.render.svg import INK, legend, svg_file, use_ink
from undoor_bench.cost.table import means
from undoor_bench.records import Record

# Name, how its means are called, and colour.
METHODS = (("mask inversion", "inversion", "#d1495b"), ("undoor scan", "undoor", "#2a9d6f"))
(_, _, INVERSION), (_, _, UNDOOR) = METHODS
UNITS = {"passes": "sample passes", "seconds": "seconds"}


def cost_plot(records: Sequence[Record]) -> str:
    """Return an SVG file.

    Passes and seconds by the number of classes, a dot a model, lines through means.

    Mask inversion's dots are hollow where not every class was measured to its end; bars reach up to
    what classes that were cut off could still cost.
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    panels = figure.subplots(1, len(UNITS))
    for axis, unit in zip(panels, UNITS, strict=True):
        _panel(axis, records, unit)
    legend(figure, panels, "outside upper center", columns=2, size=9)
    captions = (
        f"{mean.classes} classes: undoor {mean.undoor_passes:,.0f} sample passes in "
        f"{mean.undoor_seconds:,.0f} s, mask inversion {mean.inversion_passes:,.0f} in "
        f"{mean.inversion_seconds:,.0f} s"
        for mean in means(records)
    )
    return svg_file(figure, "; ".join(captions))


def _panel(axis: Axes, records: Sequence[Record], unit: str) -> None:
    centres = means(records)
    classes = [mean.classes for mean in centres]
    for label, method, colour in METHODS:
        values = [getattr(mean, f"{method}_{unit}") for mean in centres]
        axis.plot(classes, values, color=colour, linewidth=1.2, label=label)
    for record in records:
        masks = record["mask_inversion"]["total"]
        low, high = masks[f"{unit}_low"], masks[f"{unit}_high"]
        known = masks["flagged"] is not None
        axis.plot(record["classes"], record["scan"][unit], "o", color=UNDOOR, markersize=4)
        axis.errorbar(
            record["classes"],
            low,
            yerr=[[0], [high - low]],
            fmt="o",
            color=INVERSION,
            markerfacecolor=INVERSION if known else "none",
            markersize=4,
            linewidth=0.8,
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(classes, [str(count) for count in classes])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("classes")
    axis.set_ylabel(UNITS[unit])
    axis.grid(color=INK, alpha=0.15, linewidth=0.6)
    use_ink(axis)
