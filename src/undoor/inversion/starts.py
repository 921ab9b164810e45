"""Where the searches for a trigger of one class start."""

from __future__ import annotations

from undoor.families.registry import family_named
from undoor.inversion.candidates import Search
from undoor.inversion.patch_starts import NEAR, try_squares
from undoor.inversion.work import Work


def started(work: Work, search: Search, family: str, count: int) -> list[Search]:
    """Return a search from `count` starts.

    From noise; for families with places in such inputs from the places that pull most, and once
    from noise, which finds scattered patches.
    """
    places = family_named(family).places_in(work.classifier.space)
    if places is None:
        return [search] * count
    (tried,) = try_squares(work, [search], places, family, distance=NEAR, keep=count)
    return [*tried.starts, search]
