"""The picture of `undoor-bench calibrate`: how rare each clean model is, by its null and chance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from undoor.families.null import Lowest
from undoor.render.svg import INK, svg_file, use_ink
from undoor.scan.combination import as_lowest
from undoor.vocabulary import DEFAULT_ALPHA

POINT = "#2a6f9d"
# The lowest models are named.
NAMED = 3


def null_plot(combinations: Mapping[str, float], lowest: Lowest) -> str:
    """Return an SVG file: the p-values of clean models in order, beside those of pure chance.

    Points on the line, or below it, keep the level; points above it are models that are rarer than
    the null says.

    Parameters
    ----------
    combinations
        The lowest combination of each model, by its name.
    lowest
        Their distribution.
    """
    names = sorted(combinations, key=lambda name: combinations[name])
    p = as_lowest(np.array([combinations[name] for name in names]), lowest)
    observed = -np.log10(p)
    expected = -np.log10((np.arange(len(p)) + 0.5) / len(p))
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axis = figure.subplots()
    end = 1.05 * float(max(observed.max(), expected.max()))
    axis.plot([0, end], [0, end], color=INK, linewidth=1, alpha=0.5)
    axis.axhline(-np.log10(DEFAULT_ALPHA), color=INK, linewidth=1, linestyle=":")
    axis.plot(expected, observed, "o", color=POINT, markersize=4)
    for x, y, name in [*zip(expected, observed, names, strict=True)][:NAMED]:
        axis.annotate(name, (x, y), (-4, 4), textcoords="offset points", ha="right", fontsize=7)
    axis.set_xlabel("by chance, -log10 p")
    axis.set_ylabel("clean models, -log10 of the smallest p-value")
    use_ink(axis)
    return svg_file(figure, f"The smallest p-value of each of {len(p)} models without a backdoor")
