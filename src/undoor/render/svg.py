"""Matplotlib figures as SVG, transparent and in the text colour of the page around them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from html import escape
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Where a legend stands, outside the axes, as matplotlib calls it.
Place = Literal["outside upper center", "outside right upper"]
# A colour nobody chooses; it becomes the page's text colour, light or dark.
INK = "#010203"
PAPER = "page"
# Colours of the page, light and dark, of an SVG that stands for itself.
STYLE = f"""<style>
svg {{ color: #1f2328 }}
#{PAPER} path {{ fill: #ffffff !important }}
@media (prefers-color-scheme: dark) {{
svg {{ color: #e6edf3 }}
#{PAPER} path {{ fill: #0d1117 !important }}
}}
</style>
"""


def use_ink(axis: Axes) -> None:
    """Draw axes and labels in the page's text colour, without background or frame."""
    axis.set_facecolor("none")
    axis.tick_params(colors=INK, labelsize=8)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
    axis.yaxis.label.set_fontsize(9)
    for name, spine in axis.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(INK)


def legend(figure: Figure, axes: Sequence[Axes], place: Place, *, columns: int, size: int) -> None:
    """Add one legend for all axes in the page's text colour, with each label once.

    Parameters
    ----------
    size
        The size of its text, in points.
    """
    handles = {
        label: handle
        for axis in axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    drawn = figure.legend(
        list(handles.values()),
        list(handles),
        loc=place,
        ncols=columns,
        frameon=False,
        fontsize=size,
    )
    for text in drawn.get_texts():
        text.set_color(INK)


def inline_svg(figure: Figure, description: str) -> str:
    """Return a figure as an element for an HTML page, which decides its text colour."""
    figure.patch.set_alpha(0)
    text = _svg(figure)
    text = text[text.index("<svg") :]
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)


def svg_file(figure: Figure, description: str) -> str:
    """Return a figure as an SVG file that follows the reader's choice of light or dark.

    An image in a page cannot know the colours around it.
    """
    figure.patch.set_gid(PAPER)
    text = _svg(figure)
    end = text.index(">", text.index("<svg")) + 1
    return f"{text[:end]}\n<title>{escape(description)}</title>\n{STYLE}{text[end:].lstrip()}"


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    stream = io.StringIO()
    # Text stays text; ids follow from the content, so the same results give the same file.
    style = mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "undoor"})
    # Names of classes may use letters that matplotlib's own font lacks; the browser's has them.
    with style, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(
            stream,
            format="svg",
            metadata={"Creator": None, "Date": None, "Format": None, "Type": None},
        )
    return stream.getvalue().replace(INK, "currentColor")
