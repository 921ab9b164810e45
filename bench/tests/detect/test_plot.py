"""The picture of what is found and made up."""

from __future__ import annotations

from xml.etree import ElementTree

from bench_helpers.fakes import clean_record, record
from undoor_bench.detect.plot import detect_plot
from undoor_bench.detect.scans import summary


def texts(svg: str) -> list[str]:
    """The words that are seen."""
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]


def title(svg: str) -> str:
    found = ElementTree.fromstring(svg)[0].text
    assert found is not None
    return found


def test_each_row_is_shown_with_its_count() -> None:
    records = [record(), record(called=(1,)), record("wanet"), clean_record()]
    svg = detect_plot(summary(records))
    seen = texts(svg)
    assert [name for name in seen if "mnist" in name] == [
        "badnets, mnist",
        "wanet, mnist",
        "clean, mnist",
    ]
    assert [count for count in seen if "/" in count] == ["1/2", "1/1", "2/3", "0/1", "0/1"]
    assert "badnets, mnist 1/2 (1 to 99 %)" in title(svg)
    assert "Clean models: called backdoored: clean, mnist 0/1 (0 to 98 %)" in title(svg)


def test_no_panel_without_models() -> None:
    assert not any("Clean models" in text for text in texts(detect_plot(summary([record()]))))
    assert title(detect_plot(summary([]))) == "No models"


def test_points_stand_where_the_rates_are() -> None:
    """The more are found, the further to the right."""
    places = []
    for found in range(4):
        records = [record(called=(2,) if i < found else ()) for i in range(3)]
        svg = detect_plot(summary(records))
        uses = [n for n in ElementTree.fromstring(svg).iter() if n.tag.endswith("}use")]
        # The points, not the ticks.
        places.append([float(n.get("x", 0)) for n in uses if "#2a9d6f" in (n.get("style") or "")])
    assert all(len(set(row)) == 1 for row in places)
    flat = [row[0] for row in places]
    assert flat == sorted(set(flat))
