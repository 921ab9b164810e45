"""The picture of `undoor-bench mitigate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from undoor.render.svg import INK, legend, svg_file, use_ink
from undoor_bench.mitigate.methods import ABLATION, BASELINE, ORACLE, OURS, RIVAL, TEST_TIME
from undoor_bench.mitigate.table import AVERAGE, Row

COLOURS = {
    BASELINE: "#808890",
    OURS: "#2a9d6f",
    ABLATION: "#7fbf9f",
    ORACLE: "#b08900",
    RIVAL: "#d1495b",
    TEST_TIME: "#4d88c4",
}
# Within a kind, methods differ by their marker.
MARKERS = "osD^vP*X<>ph"


@dataclass(frozen=True)
class Spot:
    """Where a method stands, in per cent: points of ACC that it costs, and SIA."""

    method: str
    kind: str
    amount: str
    loss: float
    sia: float
    marker: str


def mitigate_plot(rows: Sequence[Row]) -> str:
    """Return an SVG file.

    A panel an amount of clean images, a mark a method, means over all attacks.

    Up is better (more triggered inputs predicted correctly), and so is left (less clean accuracy
    lost).
    """
    found = spots(rows)
    amounts = list(dict.fromkeys(spot.amount for spot in found))
    width = 1.2 + 3.4 * max(1, len(amounts))
    figure = Figure(figsize=(width + 1.8, 4.2), layout="constrained")
    if amounts:
        axes = figure.subplots(1, len(amounts), squeeze=False, sharex=True, sharey=True)[0]
        for axis, amount in zip(axes, amounts, strict=True):
            _panel(axis, amount, [spot for spot in found if spot.amount == amount])
        axes[0].set_ylabel("RA (SIA): triggered inputs predicted correctly, %")
        legend(figure, axes, "outside right upper", columns=1, size=8)
    captions = (f"{s.method}, {s.amount}: SIA {s.sia:.1f}, ACC lost {s.loss:.1f}" for s in found)
    return svg_file(figure, "; ".join(captions) or "No methods")


def spots(rows: Sequence[Row]) -> list[Spot]:
    """Return the methods over all attacks that have an ACC and an SIA."""
    found: list[Spot] = []
    places: dict[str, list[str]] = {}
    for row in rows:
        before, after, sia = row.before["acc"], row.after["acc"], row.after["sia"]
        if row.attack != AVERAGE or before is None or after is None or sia is None:
            continue
        peers = places.setdefault(row.kind, [])
        if row.method not in peers:
            peers.append(row.method)
        marker = MARKERS[peers.index(row.method) % len(MARKERS)]
        loss = 100 * (before - after)
        found.append(Spot(row.method, row.kind, row.amount, loss, 100 * sia, marker))
    return found


def _panel(axis: Axes, amount: str, found: Sequence[Spot]) -> None:
    for spot in found:
        label = f"{spot.method} ({ORACLE})" if spot.kind == ORACLE else spot.method
        axis.plot(
            spot.loss,
            spot.sia,
            spot.marker,
            color=COLOURS[spot.kind],
            markersize=7,
            alpha=0.85,
            label=label,
        )
    axis.axvline(0, color=INK, alpha=0.3, linewidth=0.8)
    axis.set_title(f"{amount}, clean images", loc="left", fontsize=10, color=INK, parse_math=False)
    axis.set_xlabel("clean accuracy lost, points")
    axis.set_ylim(-4, 104)
    axis.grid(color=INK, alpha=0.15, linewidth=0.6)
    use_ink(axis)
