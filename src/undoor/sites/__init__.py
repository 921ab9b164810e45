"""Sites, where corrections are attached to a network, and heads, which compute class scores."""

from __future__ import annotations

from undoor.classifier import ENTRY
from undoor.plain_weights import shared_copy
from undoor.sites.heads import Head, find_heads, head, sites_before_heads
from undoor.sites.network_kind import network_kind
from undoor.sites.places import (
    INSTANCE_NORMS,
    LINEAR_MAPS,
    NORMS,
    SITE_NORMS,
    Site,
    SiteInfo,
    attach,
    calls_of,
    channels_last,
    detach,
    exchange,
    find_sites,
    insert,
    is_frozen_norm,
    is_opaque,
    possible_sites,
    require_repairable,
)

__all__ = [
    "ENTRY",
    "INSTANCE_NORMS",
    "LINEAR_MAPS",
    "NORMS",
    "SITE_NORMS",
    "Head",
    "Site",
    "SiteInfo",
    "attach",
    "calls_of",
    "channels_last",
    "detach",
    "exchange",
    "find_heads",
    "find_sites",
    "head",
    "insert",
    "is_frozen_norm",
    "is_opaque",
    "network_kind",
    "possible_sites",
    "require_repairable",
    "shared_copy",
    "sites_before_heads",
]
