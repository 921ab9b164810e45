"""Is there a backdoor? Trigger inversion for all classes, statistics, verdict."""

from __future__ import annotations

from undoor.inversion.meter import Budget
from undoor.scan.coverage import Coverage
from undoor.scan.decide import Thresholds
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.run import scan
from undoor.vocabulary import Verdict

__all__ = [
    "Budget",
    "ClassEvidence",
    "Coverage",
    "Finding",
    "ScanReport",
    "Thresholds",
    "Verdict",
    "scan",
]
