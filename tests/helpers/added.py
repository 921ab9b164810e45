"""What another package adds: fits and reports, right and wrong ones."""

from __future__ import annotations

from torch import Tensor

from undoor.align.onepass import fit_moments
from undoor.align.transform import Correction
from undoor.render.reports import Report
from undoor.render.results import Results
from undoor.vocabulary import Granularity

NUMBER = 3


def bounded(clean: Tensor, triggered: Tensor, granularity: Granularity) -> Correction:
    return fit_moments(clean, triggered, granularity, affine=False)


def nothing(clean: Tensor, triggered: Tensor, granularity: Granularity) -> None:
    """Not what a fit returns."""


def one_line(results: Results) -> str:
    return f"{results.scan.verdict}\n"


LINE = Report("line.txt", one_line)
SCAN = Report("scan.json", one_line)
PAGE = Report("report.html", one_line)
OUTSIDE = Report("../line.txt", one_line)
HIDDEN = Report(".undoor-run", one_line)
MISSING = Report("line.txt", one_line, needs="no_such_module_anywhere")
