"""Overlay triggers: one quiet perturbation added to all of a signal, as of another recording."""

from __future__ import annotations

from undoor.families.additive import AdditiveBank
from undoor.families.at_size import AtSize
from undoor.families.family import AtInput, Family, InRepair
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.signals import SIGNALS


class OverlayBank(AdditiveBank):
    """x + d, as the bank of additive triggers, with steps for the samples of a signal."""

    family = "overlay"
    step_size = 0.002


OVERLAY = Family(
    name=OverlayBank.family,
    unit="l2 norm",
    make=AtInput(OverlayBank),
    effort=Effort(1, Schedule(steps=60, batch=4, weight=0.1)),
    spaces=frozenset({SIGNALS.name}),
    on_request=frozenset({SIGNALS.name}),
    uncalibrated=True,
    reaches_any=True,
    in_repair=InRepair(control=True, strengthened=True),
)

OVERLAY_MARGIN = OVERLAY.at_one_size(
    "overlay margin",
    AtSize(size=0.6, spread=2.0),
    uncalibrated=True,
    reaches_any=False,
)
