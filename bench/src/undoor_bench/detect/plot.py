"""The picture of `undoor-bench detect`: what is found and what is made up, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from undoor.render.svg import INK, svg_file, use_ink
from undoor_bench.detect.scans import Row
from undoor_bench.share import Share

FOUND, MADE_UP = "#2a9d6f", "#d1495b"
LINE = 0.24  # inches a row
Pick = Callable[[Row], Share]
PANELS: tuple[tuple[str, str, Pick], ...] = (
    ("Backdoored models: right targets and no other named", FOUND, lambda row: row.right),
    ("Clean models: called backdoored", MADE_UP, lambda row: row.false_alarms),
)


def detect_plot(rows: Sequence[Row]) -> str:
    """Return an SVG file.

    A point and its 95 % interval an attack and data set, one panel for backdoored models and one
    for clean ones.
    """
    panels = [
        (title, colour, [(_name(row), pick(row)) for row in rows if pick(row).n])
        for title, colour, pick in PANELS
    ]
    panels = [panel for panel in panels if panel[2]]
    heights = [len(shares) + 1.2 for _, _, shares in panels]
    figure = Figure(figsize=(7.5, 0.9 + LINE * (sum(heights) or 1)), layout="constrained")
    if panels:
        axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)
        for axis, (title, colour, shares) in zip(axes[:, 0], panels, strict=True):
            _panel(axis, title, colour, shares)
        axes[-1, 0].set_xlabel("models, % (with 95 % Clopper-Pearson intervals)", fontsize=9)
    counts = "; ".join(
        f"{title}: {', '.join(f'{name} {share.text()}' for name, share in shares)}"
        for title, _, shares in panels
    )
    return svg_file(figure, counts or "No models")


def _name(row: Row) -> str:
    return row.attack if row.data == "all" else f"{row.attack}, {row.data}"


def _panel(axis: Axes, title: str, colour: str, shares: Sequence[tuple[str, Share]]) -> None:
    """Draw rates one above the other, in the order of the table; those of all models apart."""
    for place, (name, share) in enumerate(shares):
        low, high = share.interval
        total = name.startswith("all ")
        axis.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=3, alpha=0.45)
        axis.plot([100 * share.rate], [place], "D" if total else "o", color=colour, markersize=6)
        count = f"{share.hits}/{share.n}"
        axis.annotate(
            count, (103, place), va="center", fontsize=8, color=INK, annotation_clip=False
        )
        if total:
            axis.axhline(place - 0.5, color=INK, linewidth=0.5)
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    axis.set_yticks(range(len(shares)), [name for name, _ in shares])
    axis.set_ylim(len(shares) - 0.4, -0.6)
    axis.set_xlim(-2, 102)
    axis.grid(axis="x", color=INK, alpha=0.15, linewidth=0.6)
    use_ink(axis)
    for label in axis.get_yticklabels():
        label.set_parse_math(False)
