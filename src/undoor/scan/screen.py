"""The first look at every class: the smallest trigger that a little work finds in a family."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from undoor.families.family import Family, Places
from undoor.families.registry import family_named
from undoor.inversion.candidates import ALL, Candidate, Search, smallest
from undoor.inversion.cell_search import clearest_cells
from undoor.inversion.followed import FEW_CLASSES, each_smallest, followed, repeated, some
from undoor.inversion.margins import largest_margins
from undoor.inversion.patch_starts import FAR, NEAR, try_squares
from undoor.inversion.token_search import clearest_tokens
from undoor.inversion.wave_starts import from_probes
from undoor.inversion.work import Work


def screen(work: Work, family: str, targets: Sequence[int] | None = None) -> tuple[Candidate, ...]:
    """Search for a trigger towards each class: the smallest, or the clearest one of one size.

    Parameters
    ----------
    work
        The model, its images and the budget.
    family
        The name of the trigger family.
    targets
        The classes to try; those of the work where none are given.

    Returns
    -------
    tuple of Candidate
        One for each class that is followed, in class order: all of few classes, and of many the
        most promising and some drawn at random.
    """
    tried = work.targets if targets is None else sorted(targets)
    record = family_named(family)
    if record.cells:
        return clearest_cells(work, record)
    if record.tokens:
        return clearest_tokens(work, record, tried)
    if record.at_size:
        return largest_margins(work, record)
    searches = [Search(target, work.images.pool(target)) for target in tried]
    if places := record.places_in(work.classifier.space):
        return _patches(work, record, places, searches)
    extra = [*chain(*from_probes(work, searches, record))]
    return followed(work, record, searches, extra)


def screen_sources(work: Work, family: str) -> tuple[Candidate, ...]:
    """Search for a trigger that makes images of each class leave it, wherever they go.

    A backdoor for a few sources alone, or one that sends each class elsewhere, has no target that
    all other classes reach.
    """
    images = work.images
    pools = {k: images.known_pool(k) for k in images.y.unique().tolist()}
    searches = [Search(k, pool, leave=images.y) for k, pool in pools.items() if len(pool)]
    return followed(work, family_named(family), searches)


def screen_shared(work: Work, family: str) -> Candidate:
    """Search for one trigger that makes images of all classes leave their class."""
    record = family_named(family)
    kind, places = record.candidates.name, record.places_in(work.classifier.space)
    effort = places.effort if places else record.effort
    search = Search(ALL, work.images.known_pool(), leave=work.images.y)
    starts = [search] * effort.starts
    if places:
        (tried,) = try_squares(work, [search], places, kind, distance=NEAR, keep=places.keep)
        starts += tried.starts
    return smallest(work.invert(starts, kind, effort.schedule))[ALL]


def _patches(
    work: Work, family: Family, places: Places, searches: Sequence[Search]
) -> tuple[Candidate, ...]:
    """Search from the squares that pull most, and from noise, which finds scattered patches."""
    few = len(searches) <= FEW_CLASSES
    distance = NEAR if few else FAR
    tried = try_squares(
        work, searches, places, family.candidates.name, distance=distance, keep=places.keep
    )
    chosen = list(range(len(searches)))
    if not few:
        chosen = some(work, sorted(chosen, key=lambda i: -tried[i].pull))
    starts = [start for i in chosen for start in tried[i].starts]
    noise = repeated([searches[i] for i in chosen], places.effort.starts)
    return each_smallest(
        work.invert([*starts, *noise], family.candidates.name, places.effort.schedule)
    )
