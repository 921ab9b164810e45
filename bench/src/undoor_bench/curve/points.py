"""What is found and made up, by how many clean images the defender has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from undoor_bench import tables
from undoor_bench.detect.scans import Row, row_of
from undoor_bench.records import Record

ALL = "all"


@dataclass(frozen=True)
class Point:
    """The models of one data set, or of all, scanned with the same amount of clean images.

    Attributes
    ----------
    images, each
        Fewest and most images that a scan had, in all and of one class.
    backdoored, clean, every
        The counts over the models with a backdoor, without one, and all of them.
    """

    amount: str
    data: str
    images: tuple[int, int]
    each: tuple[int, int]
    backdoored: Row
    clean: Row
    every: Row


def curve(records: Iterable[Record]) -> list[Point]:
    """Return one point per data set and amount, fewest images first.

    Where there are several data sets, one point per amount over all of them follows. Models whose
    backdoor did not take are left out.
    """
    took = [record for record in records if record["took"]]
    names = sorted({record["data"] for record in took})
    points: list[Point] = []
    for data in [*names, ALL] if len(names) > 1 else names:
        by_amount: dict[str, list[Record]] = {}
        for record in took:
            if data in (ALL, record["data"]):
                by_amount.setdefault(record["setting"]["amount"], []).append(record)
        line = [_point(amount, data, found) for amount, found in by_amount.items()]
        points += sorted(line, key=lambda point: (point.images, point.amount))
    return points


def _point(amount: str, data: str, records: Sequence[Record]) -> Point:
    drawn = [record["drawn"] for record in records]
    bad = [record for record in records if record["targets"]]
    good = [record for record in records if not record["targets"]]
    return Point(
        amount=amount,
        data=data,
        images=(min(d["images"] for d in drawn), max(d["images"] for d in drawn)),
        each=(min(d["least"] for d in drawn), max(d["most"] for d in drawn)),
        backdoored=row_of(ALL, data, bad),
        clean=row_of(ALL, data, good),
        every=row_of(ALL, data, records),
    )


HEADER = (
    "clean images",
    "data",
    "in all",
    "of one class",
    "right targets and no other",
    "called backdoored",
    "backdoored: inconclusive",
    "false alarms",
    "clean: inconclusive",
    "seconds",
    "sample passes",
)


def cells(point: Point) -> list[str]:
    """Return the cells of a point in the table."""
    bad, good = point.backdoored, point.clean
    shares = (bad.right, bad.detected, bad.inconclusive, good.false_alarms, good.inconclusive)
    return [
        point.amount,
        point.data,
        span(point.images),
        span(point.each),
        *(share.text() for share in shares),
        f"{point.every.seconds:.0f}",
        f"{point.every.passes:,.0f}",
    ]


def span(ends: tuple[int, int]) -> str:
    """Return the ends of a range in words.

    >>> span((4, 5)), span((30, 30))
    ('4 to 5', '30')
    """
    low, high = ends
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def markdown(points: Sequence[Point]) -> str:
    """Return the table as Markdown."""
    return tables.markdown(HEADER, [cells(point) for point in points])
