"""The picture of mitigation."""

from __future__ import annotations

from xml.etree import ElementTree

from bench_helpers.mitigate_records import record
from undoor_bench.mitigate.plot import COLOURS, mitigate_plot, spots
from undoor_bench.mitigate.table import summary

RECORDS = [
    record(name=name, sia=sia, acc=acc, images=images)
    for images in (100, 1000)
    for name, sia, acc in (
        ("onepass", 0.9, 0.94),
        ("true_trigger", 0.95, 0.95),
        ("bn", 0.5, 0.8),
        ("nad", 0.6, 0.9),
    )
]


def test_a_panel_an_amount_and_a_name_a_method() -> None:
    svg = mitigate_plot(summary(RECORDS))
    texts = (node for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("}text"))
    words = ["".join(node.itertext()).strip() for node in texts]
    for word in ("10 a class, clean images", "100 a class, clean images"):
        assert word in words
    for word in ("onepass", "bn", "nad", "true_trigger (oracle)"):
        assert words.count(word) == 1
    assert "bn, 10 a class: SIA 50.0, ACC lost 15.0" in svg
    assert COLOURS["oracle"] in svg


def test_methods_of_a_kind_have_different_marks() -> None:
    found = spots(summary(RECORDS))
    marks = {(spot.kind, spot.marker) for spot in found}
    assert len(marks) == 4
    assert len(found) == 8


def test_what_has_no_rates_is_not_drawn() -> None:
    rows = summary([record(name="bn", failed="no batch norm")])
    assert spots(rows) == []
    assert "No methods" in mitigate_plot(rows)


def test_the_same_records_give_the_same_file() -> None:
    assert mitigate_plot(summary(RECORDS)) == mitigate_plot(summary(RECORDS))
