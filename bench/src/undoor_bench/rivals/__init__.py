"""The rivals of mitigation: published ways to close a backdoor with a few clean images.

Each is written from its paper; what was adapted to 100 to 1,000 clean images, networks of less than
a million weights and two CPU cores stands at the head of its file. None sees a triggered image or
the attack's success, unlearning alone reads what the scan found.
"""

from __future__ import annotations

from typing import Protocol

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor_bench.rivals.anp import anp
from undoor_bench.rivals.bn import bn
from undoor_bench.rivals.clipping import clipping
from undoor_bench.rivals.clp import clp
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.rivals.ft_sam import ft_sam
from undoor_bench.rivals.ibau import ibau
from undoor_bench.rivals.nad import nad
from undoor_bench.rivals.unlearning import unlearning


class Rival(Protocol):
    """``rival(classifier, clean, report, generator)``: a changed copy for inference.

    Parameters
    ----------
    classifier
        Is left as it is, and shares no tensor with the copy.
    clean
        Images as the classifier takes them (`CleanSet.for_classifier`).
    report
        Of a scan of `classifier`; all rivals but unlearning ignore it.
    generator
        The source of all randomness.

    Raises
    ------
    UndoorError
        The method cannot work on such a network or with so few images, or diverged.
    """

    def __call__(
        self,
        classifier: Classifier,
        clean: CleanSet,
        report: ScanReport,
        generator: torch.Generator,
        /,
        *,
        progress: Progress = silent,
    ) -> Classifier:
        """Return the changed copy."""
        ...


RIVALS: dict[str, Rival] = {
    "fine_tuning": fine_tuning,
    "ft_sam": ft_sam,
    "nad": nad,
    "anp": anp,
    "ibau": ibau,
    "clp": clp,
    "unlearning": unlearning,
    "clipping": clipping,
    "bn": bn,
}

__all__ = ["RIVALS", "Rival"]
