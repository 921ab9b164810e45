"""Trigger families: what a defender who knows nothing lets the optimiser look for."""

from __future__ import annotations

from undoor.triggers.additive import AdditiveBank
from undoor.triggers.bank import TriggerBank
from undoor.triggers.patch import PatchBank
from undoor.triggers.trigger import Trigger

# From the most to the least local: the first family that explains a target names it.
TRIGGERS: dict[str, type[PatchBank] | type[AdditiveBank]] = {
    bank.family: bank for bank in (PatchBank, AdditiveBank)
}

__all__ = ["TRIGGERS", "AdditiveBank", "PatchBank", "Trigger", "TriggerBank"]
