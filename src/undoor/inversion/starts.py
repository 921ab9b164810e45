"""Where the searches for a trigger of one class start."""

from __future__ import annotations

from undoor.inversion.invert import Search
from undoor.inversion.patch_starts import try_squares
from undoor.inversion.schedules import NEAR
from undoor.inversion.work import Work


def started(work: Work, search: Search, family: str, count: int) -> list[Search]:
    """`search` from `count` starts: noise, and for patches in images from as many of the squares
    that pull most, beside one of noise, which finds scattered patches."""
    if family != "patch" or len(work.classifier.input_shape) != 3:
        return [search] * count
    (tried,) = try_squares(work, [search], distance=NEAR, keep=count)
    return [*tried.starts, search]
