"""Repairs: what one holds, its file, and what is done with several."""

from __future__ import annotations

from undoor.repairs.collection import Listed, combine, listed, remove
from undoor.repairs.contents import SiteChoice, TargetRepair
from undoor.repairs.record import Repair

__all__ = ["Listed", "Repair", "SiteChoice", "TargetRepair", "combine", "listed", "remove"]
