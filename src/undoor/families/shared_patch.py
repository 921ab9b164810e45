"""One patch that makes images of all classes leave their own."""

from __future__ import annotations

from dataclasses import replace

from undoor.families.family import InRepair, Places
from undoor.families.patch import PATCH, squares
from undoor.families.patch_by_source import PATCH_BY_SOURCE
from undoor.families.schedules import Effort, Schedule

_EFFORT = Effort(2, Schedule(steps=120, batch=4, weight=0.02, trial=30, keep=4))

SHARED_PATCH = replace(
    PATCH,
    name="shared patch",
    null=None,
    unit="pixels a class where images end",
    smallest=None,
    effort=_EFFORT,
    moves="shared",
    places=Places(squares, 8, _EFFORT),
    searched_as=PATCH,
    beside=PATCH_BY_SOURCE,
    in_repair=InRepair(),
)
