"""Tables as CSV."""

from __future__ import annotations

import csv

from undoor.render.csv_table import as_csv


def test_csv_can_be_read_again() -> None:
    lines: list[dict[str, object]] = [{"a": "x, y", "b": 1}, {"a": 'say "no"', "b": ""}]
    read = list(csv.DictReader(as_csv(lines).splitlines()))
    assert read == [{"a": "x, y", "b": "1"}, {"a": 'say "no"', "b": ""}]


def test_no_text_is_a_formula() -> None:
    assert as_csv([{"a": "=1+1", "b": -0.5}]) == "a,b\n'=1+1,-0.5\n"


def test_no_lines() -> None:
    assert as_csv([]) == "\n"
