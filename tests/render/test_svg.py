"""Figures as SVG that can be read on light and dark pages."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from undoor.render.svg import INK, inline_svg, svg_file, use_ink


def figure() -> Figure:
    made = Figure(figsize=(2, 1))
    axis = made.subplots()
    axis.plot([0, 1], [0, 1], color="#d1495b")
    axis.set_xlabel("time")
    use_ink(axis)
    return made


def test_the_page_gives_the_ink() -> None:
    text = inline_svg(figure(), 'a "line" & more')
    assert text.startswith("<svg ")
    assert ElementTree.fromstring(text).get("aria-label") == 'a "line" & more'
    assert "<style>\nsvg" not in text
    assert INK not in text
    assert "currentColor" in text


def test_a_file_brings_its_page() -> None:
    text = svg_file(figure(), "a < b")
    root = ElementTree.fromstring(text)
    title, style = root[0], root[1]
    assert title.text == "a < b"
    assert style.text is not None
    light, dark = style.text.split("@media (prefers-color-scheme: dark)")
    for part in (light, dark):
        ink, paper = (re.search(rf"{key}: #(\w+)", part) for key in (r"\bcolor", "fill"))
        assert ink is not None
        assert paper is not None
        assert contrast(ink[1], paper[1]) > 7
    assert "#d1495b" in text
    assert len([node for node in root.iter() if node.get("id") == "page"]) == 1


def contrast(one: str, other: str) -> float:
    """As the WCAG define it; 7 is their highest demand on text."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_same_figure_gives_the_same_text() -> None:
    assert svg_file(figure(), "a") == svg_file(figure(), "a")
