"""The picture of what a scan costs."""

from __future__ import annotations

from xml.etree import ElementTree

from bench_helpers.cost_records import record
from undoor_bench.cost.plot import UNDOOR, cost_plot

RECORDS = [record(), record("n", classes=10, stopped="cut off"), record("o", classes=172)]


def test_both_costs_at_every_number_of_classes() -> None:
    svg = cost_plot(RECORDS)
    words = ["".join(item.itertext()).strip() for item in ElementTree.fromstring(svg).iter()]
    for word in ("3", "10", "172", "sample passes", "seconds", "undoor scan", "mask inversion"):
        assert word in words
    assert "3 classes: undoor 100 sample passes in 5 s, mask inversion 1,200 in 24 s" in svg


def test_a_dot_a_model() -> None:
    """Each is of the method's colour: more models, more of them."""
    few, many = (cost_plot(RECORDS[:n]).count(UNDOOR) for n in (1, 3))
    assert many > few > 0


def test_the_same_records_give_the_same_file() -> None:
    assert cost_plot(RECORDS) == cost_plot(RECORDS)
