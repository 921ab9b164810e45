"""Tables as CSV, for programs and spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from undoor.render.sanitise import csv_cell


def as_csv(lines: Sequence[Mapping[str, object]]) -> str:
    """Return a CSV text: the keys of the first line as a header, then the lines.

    No cell is a formula.

    >>> print(as_csv([{"a": 1, "b": "x, y"}]), end="")
    a,b
    1,"x, y"
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in line.items()} for line in lines)
    return stream.getvalue()
