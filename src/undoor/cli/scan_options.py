"""Options of a scan: what it may get wrong, and what the user accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undoor import vocabulary
from undoor.cli.progress import bars
from undoor.vocabulary import BUDGET, DEFAULT_ALPHA

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.families.calibration import Calibration
    from undoor.inversion.meter import Budget
    from undoor.journal import Journal
    from undoor.scan.report import ScanReport

SCAN_PANEL = "Scan"


@dataclass(frozen=True)
class ScanOptions:
    """Options of a scan."""

    alpha: Annotated[
        float,
        typer.Option(
            help="Share of clean models that may be called backdoored.",
            min=1e-6,
            max=0.2,
            rich_help_panel=SCAN_PANEL,
        ),
    ] = DEFAULT_ALPHA
    accept_graph: Annotated[
        bool,
        typer.Option(
            "--accept-graph",
            help="The network may be called clean despite the oddities in its graph that `undoor "
            "inspect` lists: you have looked at them.",
            rich_help_panel=SCAN_PANEL,
        ),
    ] = False
    accept_coverage: Annotated[
        vocabulary.AcceptCoverage,
        typer.Option(
            help="partial: the model may be called clean though not all trigger families could be "
            "searched, or though the statistics were learned on other networks or inputs.",
            rich_help_panel=SCAN_PANEL,
        ),
    ] = vocabulary.FULL
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="What natural triggers look like in models of yours, as `undoor calibrate` "
            "learned it.",
            metavar="FILE",
            rich_help_panel=SCAN_PANEL,
        ),
    ] = None

    def learned(self) -> Calibration | None:
        """Return the calibration that was given; to be called before any code of the model runs.

        Raises
        ------
        UndoorError
            The file is none.
        """
        from undoor.families.calibration import Calibration

        return None if self.calibration is None else Calibration.load(self.calibration)

    def run(
        self,
        classifier: Classifier,
        clean: CleanSet,
        *,
        seed: int,
        calibration: Calibration | None = None,
        budget: Budget | None = None,
        targets: Sequence[int] | None = None,
        journal: Journal | None = None,
    ) -> ScanReport:
        """Return the scan, with its progress on stderr.

        Its journal is left open if the budget ended.
        """
        from undoor.scan import Thresholds, scan

        with bars() as progress:
            report = scan(
                classifier,
                clean,
                seed=seed,
                thresholds=Thresholds(alpha=self.alpha),
                budget=budget,
                accept_graph=self.accept_graph,
                accept_coverage=self.accept_coverage,
                calibration=calibration,
                targets=targets,
                journal=journal,
                progress=progress,
            )
        if journal is not None and BUDGET in report.causes:
            journal.leave_open()
        return report
