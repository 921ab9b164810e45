"""The picture of `undoor-bench curve`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from undoor.render.svg import INK, legend, svg_file, use_ink
from undoor_bench.curve.points import Point, span
from undoor_bench.share import Share

Pick = Callable[[Point], Share]
# Name, colour, marker, and how far beside the tick it stands, so that no interval hides another.
LINES: tuple[tuple[str, str, str, float, Pick], ...] = (
    ("right targets and no other", "#2a9d6f", "o", -0.12, lambda p: p.backdoored.right),
    ("called backdoored", "#4d88c4", "s", 0.0, lambda p: p.backdoored.detected),
    ("false alarms of clean models", "#d1495b", "D", 0.12, lambda p: p.clean.false_alarms),
)


def curve_plot(points: Sequence[Point]) -> str:
    """Return an SVG file: per data set, rates with their 95 % intervals by clean images."""
    names = list(dict.fromkeys(point.data for point in points))
    figure = Figure(figsize=(7.5, 0.7 + 2.7 * max(1, len(names))), layout="constrained")
    captions = []
    if names:
        axes = list(figure.subplots(len(names), 1, squeeze=False)[:, 0])
        for axis, data in zip(axes, names, strict=True):
            captions.append(_panel(axis, data, [point for point in points if point.data == data]))
        legend(figure, axes, "outside upper center", columns=3, size=9)
    return svg_file(figure, "; ".join(captions) or "No models")


def _panel(axis: Axes, data: str, points: Sequence[Point]) -> str:
    """Draw one data set, and return what is drawn in words."""
    captions = []
    for name, colour, marker, beside, pick in LINES:
        shown = [(i + beside, pick(p)) for i, p in enumerate(points) if pick(p).n]
        x, rates = [at for at, _ in shown], [100 * share.rate for _, share in shown]
        axis.plot(x, rates, color=colour, linewidth=1, alpha=0.6)
        for at, share in shown:
            low, high = share.interval
            axis.plot([at, at], [100 * low, 100 * high], color=colour, linewidth=2.5, alpha=0.45)
        if shown:
            axis.plot(x, rates, marker, color=colour, markersize=6, label=name)
        counts = [f"{p.amount} {pick(p).text()}" for p in points if pick(p).n]
        captions += [f"{data}, {name}: {', '.join(counts)}"] if counts else []
    bad = max(point.backdoored.detected.n for point in points)
    good = max(point.clean.false_alarms.n for point in points)
    title = f"{data}: {bad} backdoored and {good} clean models"
    axis.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    axis.set_xticks(range(len(points)), [_tick(point) for point in points])
    axis.set_xlim(-0.5, len(points) - 0.5)
    axis.set_ylim(-4, 104)
    axis.set_xlabel("clean images a class (below: in all)")
    axis.set_ylabel("models, % (bars: 95 %)")
    axis.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
    use_ink(axis)
    return "; ".join(captions)


def _tick(point: Point) -> str:
    """Return the label of an amount; shares of the training set carry their unit."""
    share = point.amount.removesuffix(" of training")
    each = span(point.each) if share == point.amount else f"{span(point.each)} = {share}"
    return f"{each}\n({span(point.images)})"
