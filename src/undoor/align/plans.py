"""The plans that are worth trying: which sites, at which granularity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from undoor.align.fit import Plan
from undoor.align.left_out import LeftOut
from undoor.classifier import ENTRY
from undoor.errors import UndoorError
from undoor.sites import SiteInfo
from undoor.vocabulary import REFERENCE

LARGEST_POSITION_MAP = 64
COARSEST = "per channel"
INPUT_ALONE = "input alone"
# The authors' code corrects channels alone, and its loop over every position would take days.
CHANNEL_BY_CHANNEL = REFERENCE


def candidate_plans(sites: Sequence[SiteInfo]) -> dict[str, Plan]:
    """Return named plans from coarse to fine.

    A local trigger needs corrections per position early, a global one fewer and coarser ones, and
    with a recovered trigger that is not quite the true one only coarse ones work. So: all layers
    per channel; the same with maps up to each of the occurring sizes per position; the finest
    with the raw input corrected too; the raw input alone. Of a table first each column left out:
    what is recovered of a trigger there names its columns better than it shows its values.

    >>> sites = [SiteInfo("entry", (3, 8, 8)), SiteInfo("a", (4, 8, 8)), SiteInfo("b", (4, 4, 4))]
    >>> list(candidate_plans(sites))
    ['per channel', 'per position to 4', 'per position to 8', 'the same and input', 'input alone']
    """
    layers = _layers(sites)
    extents = sorted({site.extent for site in layers if 1 < site.extent <= LARGEST_POSITION_MAP})
    entry = next((site for site in sites if site.name == ENTRY), None)
    plans: dict[str, Plan] = {
        f"without {column}": {ENTRY: LeftOut(number)}
        for number, column in enumerate(entry.columns if entry else ())
    }
    plans |= {COARSEST: _plan(layers, 0)} if layers else {}
    for extent in extents:
        plans[f"per position to {extent}"] = _plan(layers, extent)
    if entry and not (entry.discrete or entry.unordered) and entry.extent <= LARGEST_POSITION_MAP:
        finest = _plan(layers, max(extents, default=0))
        if layers:
            plans["the same and input"] = {ENTRY: "position", **finest}
        plans[INPUT_ALONE] = {ENTRY: "position"}
    return plans


def coarsest(plans: Mapping[str, Plan]) -> str:
    """Return the name of the plan with the fewest numbers to fit, of what has layers."""
    return COARSEST if COARSEST in plans else next(iter(plans))


def few_site_plans(sites: Sequence[SiteInfo]) -> dict[str, Plan]:
    """Return plans that correct the first or the last 1, 2, 4 ... layers alone, per channel.

    They are never chosen; they measure what the number of sites is worth.

    >>> sites = [SiteInfo(name, (4, 8, 8)) for name in ("entry", "a", "b", "c")]
    >>> {name: list(plan) for name, plan in few_site_plans(sites).items()}
    {'first 1': ['a'], 'last 1': ['c'], 'first 2': ['a', 'b'], 'last 2': ['b', 'c']}
    """
    layers = _layers(sites)
    plans: dict[str, Plan] = {}
    count = 1
    while count < len(layers):
        plans[f"first {count}"] = _plan(layers[:count], 0)
        plans[f"last {count}"] = _plan(layers[-count:], 0)
        count *= 2
    return plans


def plans_to_try(sites: Sequence[SiteInfo], only: str | None, fit: str) -> dict[str, Plan]:
    """Return the plans to choose from, or the one of a given name.

    Not the raw input alone, where there are layers: that corrects the estimates, and nothing of a
    true trigger at another place or of another look, which no estimate shows.

    Parameters
    ----------
    sites
        Of the network.
    only
        The name of the plan; None for all that are worth trying.
    fit
        The name of the fit.

    Raises
    ------
    UndoorError
        There is no such plan, or `fit` cannot make it.
    """
    plans = candidate_plans(sites)
    if only is None:
        return {n: plan for n, plan in plans.items() if n != INPUT_ALONE or COARSEST not in plans}
    plans |= few_site_plans(sites)
    if only not in plans:
        raise UndoorError(
            f"expected a plan that this network has ({', '.join(plans)}), got {only!r}"
        )
    if fit == CHANNEL_BY_CHANNEL and only != COARSEST:
        raise UndoorError(
            f"expected the plan {COARSEST!r} for the fit {fit!r}, which corrects channels alone, "
            f"got {only!r}"
        )
    return {only: plans[only]}


def feasible(chosen: str, plans: Mapping[str, Plan], fit: str) -> str:
    """Return the name of the chosen plan, or of the one that `fit` can make in its place."""
    return COARSEST if fit == CHANNEL_BY_CHANNEL and COARSEST in plans else chosen


def _layers(sites: Sequence[SiteInfo]) -> list[SiteInfo]:
    """Return all but the raw input."""
    return [site for site in sites if site.name != ENTRY]


def _plan(layers: Sequence[SiteInfo], extent: int) -> Plan:
    return {site.name: "position" if 1 < site.extent <= extent else "channel" for site in layers}
