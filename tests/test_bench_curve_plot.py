"""The picture of the curve."""

from __future__ import annotations

from xml.etree import ElementTree

from bench_fakes import clean_record, record

from undoor.bench.curve import curve
from undoor.bench.curve_plot import curve_plot


def seen(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]


def test_a_panel_a_data_set_with_all_amounts() -> None:
    records = [
        made
        for amount, images in (("0.1 % of training", 45), ("10 a class", 100))
        for data in ("cifar10", "mnist")
        for made in (
            record(amount=amount, images=images, data=data),
            clean_record(amount=amount, images=images, data=data),
        )
    ]
    svg = curve_plot(curve(records))
    texts = seen(svg)
    titles = [text for text in texts if "clean models" in text and ":" in text]
    assert titles == [
        "cifar10: 1 backdoored and 1 clean models",
        "mnist: 1 backdoored and 1 clean models",
        "all: 2 backdoored and 2 clean models",
    ]
    assert texts.count("4 to 5 = 0.1 %") == 3
    assert texts.count("(45)") == 3
    assert texts.count("called backdoored") == 1
    assert "10 a class 2/2 (16 to 100 %)" in svg


def test_without_clean_models_there_are_no_false_alarms() -> None:
    assert "false alarms of clean models" not in seen(curve_plot(curve([record()])))
    assert "false alarms of clean models" in seen(curve_plot(curve([clean_record()])))


def test_no_models() -> None:
    assert "<title>No models</title>" in curve_plot([])
