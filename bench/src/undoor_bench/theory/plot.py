"""The picture of `undoor-bench theory`."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from undoor.render.svg import INK, legend, svg_file, use_ink
from undoor_bench.theory.table import ALPHAS, Curve

# By printed and along: colour, style of line, and marker.
LOOKS = {
    (False, "deviation"): ("#2a9d6f", "-", "o"),
    (False, "variance"): ("#2a9d6f", "--", "s"),
    (True, "deviation"): ("#d1495b", "-", "D"),
    (True, "variance"): ("#d1495b", "--", "^"),
}
COLUMNS = 2


def theory_plot(found: Sequence[Curve]) -> str:
    """Return an SVG file: one panel per model, SIA against alpha.

    Lines in closed form, marks by Monte Carlo with their 95 % intervals, dotted the clean accuracy
    of the source class.
    """
    names = list(dict.fromkeys(curve.model for curve in found))
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(7.5, 0.8 + 2.9 * max(1, rows)), layout="constrained")
    if names:
        panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
        for axis, name in zip(panels, names, strict=False):
            _panel(axis, name, [curve for curve in found if curve.model == name])
        for axis in panels[len(names) :]:
            axis.set_axis_off()
        legend(figure, panels[: len(names)], "outside upper center", columns=2, size=9)
    return svg_file(figure, "; ".join(map(_told, found)) or "No models")


def _told(curve: Curve) -> str:
    first, last = (f"{100 * curve.points[end].exact:.1f} %" for end in (0, -1))
    return f"{curve.model}, {curve.variant.name}: {curve.trend} from {first} to {last}"


def _panel(axis: Axes, name: str, found: Sequence[Curve]) -> None:
    for curve in found:
        colour, style, marker = LOOKS[curve.variant.printed, curve.variant.along]
        exact = [100 * point.exact for point in curve.points]
        rates = [100 * point.rate for point in curve.points]
        low = [100 * point.low for point in curve.points]
        high = [100 * point.high for point in curve.points]
        axis.plot(ALPHAS, exact, style, color=colour, linewidth=1.2, label=curve.variant.name)
        axis.vlines(ALPHAS, low, high, color=colour, linewidth=2, alpha=0.45)
        axis.plot(ALPHAS, rates, marker, color=colour, markersize=3.5)
    axis.axhline(100 * found[0].clean, color=INK, linestyle=":", linewidth=1)
    axis.set_title(name, loc="left", fontsize=10, color=INK)
    axis.set_ylim(-4, 104)
    axis.set_xlabel("alpha (0 backdoored, 1 v* and m*)")
    axis.set_ylabel("SIA, % (bars: 95 %)")
    axis.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
    use_ink(axis)
