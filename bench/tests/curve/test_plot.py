"""The picture of the curve."""

from __future__ import annotations

from xml.etree import ElementTree

from bench_helpers.fakes import clean_record, record
from undoor_bench.curve.plot import curve_plot
from undoor_bench.curve.points import curve


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


def test_the_more_are_found_the_higher_the_point() -> None:
    records = [
        record(called=(2,) if i < found else (1,), amount=f"{found + 1} a class", images=found + 1)
        for found in range(4)
        for i in range(3)
    ]
    root = ElementTree.fromstring(curve_plot(curve(records)))
    marks = [node for node in root.iter() if node.tag.endswith("}use")]
    # The last one is the legend's.
    green = [node for node in marks if "#2a9d6f" in (node.get("style") or "")][:-1]
    x, y = ([float(node.get(key, "nan")) for node in green] for key in "xy")
    assert len(green) == 4
    assert x == sorted(x)
    assert y == sorted(y, reverse=True)
    assert len(set(y)) == 4
