"""The picture of `undoor-bench depth`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from undoor.render.svg import INK, legend, svg_file, use_ink
from undoor_bench.depth.layers import Layer, parts_of

COLOURS = ("#2a9d6f", "#4d88c4", "#d1495b", "#b5762a", "#7a5ea8", "#3a8f9e", "#8a8a3a", "#a84f7f")
# Title, label, and what is shown of a layer.
PANELS: tuple[tuple[str, str, Callable[[Layer], float]], ...] = (
    (
        "How far the trigger moves activations",
        "clean standard deviations",
        lambda each: each.shift,
    ),
    (
        "Robust accuracy with one layer corrected",
        "RA, %",
        lambda each: 100 * each.ra,
    ),
)


def depth_plot(layers: Sequence[Layer]) -> str:
    """Return an SVG file: shift and robust accuracy by depth; thick lines are means."""
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    networks = list(dict.fromkeys(each.network for each in layers))
    captions = []
    if networks:
        axes = list(figure.subplots(1, len(PANELS), squeeze=False)[0])
        for axis, (title, label, pick) in zip(axes, PANELS, strict=True):
            captions += _panel(axis, networks, layers, pick)
            axis.set_title(title, loc="left", fontsize=10, color=INK)
            axis.set_xlabel("depth, %")
            axis.set_ylabel(label)
            axis.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
            use_ink(axis)
        legend(figure, axes, "outside upper center", columns=4, size=9)
    return svg_file(figure, "; ".join(captions) or "No models")


def _panel(
    axis: Axes, networks: Sequence[str], layers: Sequence[Layer], pick: Callable[[Layer], float]
) -> list[str]:
    captions = []
    for number, network in enumerate(networks):
        colour = COLOURS[number % len(COLOURS)]
        of_network = [each for each in layers if each.network == network]
        for model in dict.fromkeys(each.model for each in of_network):
            line = [each for each in of_network if each.model == model]
            places = [100 * each.depth for each in line]
            axis.plot(places, [pick(each) for each in line], color=colour, linewidth=0.6, alpha=0.3)
        means = [
            (fmean(100 * each.depth for each in part), fmean(map(pick, part)))
            for _, part in parts_of(of_network)
        ]
        axis.plot(*zip(*means, strict=True), "o-", color=colour, markersize=4, label=network)
        captions.append(f"{network}: {', '.join(f'{value:.2g}' for _, value in means)}")
    return captions
