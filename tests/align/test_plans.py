"""Which sites are corrected, and how finely."""

from __future__ import annotations

import pytest

from helpers.tiny import KINDS, random_classifier
from undoor.align.plans import LARGEST_POSITION_MAP, candidate_plans
from undoor.classifier import ENTRY
from undoor.sites import SiteInfo, find_sites

ENTRY_SITE = SiteInfo(ENTRY, (3, 32, 32))
LAYERS = [
    SiteInfo("a", (8, 32, 32)),
    SiteInfo("b", (8, 16, 8)),
    SiteInfo("c", (16, 4, 4)),
    SiteInfo("d", (10,)),
]


def test_from_coarse_to_fine() -> None:
    plans = candidate_plans([ENTRY_SITE, *LAYERS])
    c, p = "channel", "position"
    assert {name: dict(plan) for name, plan in plans.items()} == {
        "per channel": {"a": c, "b": c, "c": c, "d": c},
        "per position to 4": {"a": c, "b": c, "c": p, "d": c},
        "per position to 16": {"a": c, "b": p, "c": p, "d": c},
        "per position to 32": {"a": p, "b": p, "c": p, "d": c},
        "the same and input": {ENTRY: p, "a": p, "b": p, "c": p, "d": c},
        "input alone": {ENTRY: p},
    }
    assert next(iter(plans)) == "per channel"


def test_large_maps_stay_per_channel() -> None:
    """A correction for each of 50,000 positions is no longer an estimate of anything."""
    large = SiteInfo("big", (8, LARGEST_POSITION_MAP + 1, 20))
    plans = candidate_plans([SiteInfo(ENTRY, (3, 224, 224)), large, *LAYERS])
    assert {plan["big"] for plan in plans.values()} == {"channel"}
    assert not any(ENTRY in plan for plan in plans.values())


@pytest.mark.parametrize("kind", KINDS)
def test_plans_of_real_networks(kind: str) -> None:
    """Whatever the network: sites that exist, no plan twice, no plan without a site."""
    sites = find_sites(random_classifier(kind))
    names = {site.name for site in sites}
    plans = candidate_plans(sites)
    assert plans
    for plan in plans.values():
        assert plan
        assert set(plan) <= names
    assert len({tuple(sorted(plan.items())) for plan in plans.values()}) == len(plans)


def test_network_without_layers_to_correct() -> None:
    """A single linear layer gives the logits; only its input can be corrected."""
    plans = candidate_plans([SiteInfo(ENTRY, (8,))])
    assert plans["input alone"] == {ENTRY: "position"}
