"""Tables as CSV, for programs and spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from undoor.render.sanitise import csv_cell


def as_csv(lines: Sequence[Mapping[str, object]]) -> str:
    """Return a header of the first line's keys, and the lines; no text of theirs is a formula.

    >>> print(as_csv([{"a": 1, "b": "x, y"}]), end="")
    a,b
    1,"x, y"
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in line.items()} for line in lines)
    return stream.getvalue()
