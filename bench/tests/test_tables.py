"""Tables as text."""

from __future__ import annotations

import csv

from undoor.render.csv_table import as_csv
from undoor_bench.tables import markdown


def test_markdown() -> None:
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_csv_can_be_read_again() -> None:
    lines = [{"a": "x, y", "b": 1}, {"a": 'say "no"', "b": ""}]
    read = list(csv.DictReader(as_csv(lines).splitlines()))
    assert read == [{"a": "x, y", "b": "1"}, {"a": 'say "no"', "b": ""}]
