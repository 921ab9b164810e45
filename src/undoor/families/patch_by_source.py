"""Patches that make images of one class leave it, wherever they go."""

from __future__ import annotations

from dataclasses import replace

from undoor.families.family import InRepair
from undoor.families.patch import PATCH
from undoor.families.schedules import Effort, Schedule

PATCH_BY_SOURCE = replace(
    PATCH,
    name="patch by source",
    null=None,
    effort=Effort(5, Schedule(steps=120, batch=2, weight=0.02, trial=45, keep=2)),
    moves="source",
    # One backdoor for all moves every source: that all are small at once does not indicate several.
    crowds=False,
    places=None,
    searched_as=PATCH,
    in_repair=InRepair(),
)
