"""Where the searches for a trigger of one class start."""

from __future__ import annotations

from undoor.scan.effort import NEAR
from undoor.scan.invert import Search
from undoor.scan.squares import try_squares
from undoor.scan.work import Work


def started(work: Work, search: Search, family: str, count: int) -> list[Search]:
    """`search` from `count` starts: noise, and for patches in images from as many of the squares
    that pull most, beside one of noise, which finds scattered patches."""
    if family != "patch" or len(work.classifier.input_shape) != 3:
        return [search] * count
    (tried,) = try_squares(work, [search], distance=NEAR, keep=count)
    return [*tried.starts, search]
