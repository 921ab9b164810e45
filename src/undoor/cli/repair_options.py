"""Options of a repair: which targets, how corrections are fitted, and the guard's rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from undoor import vocabulary
from undoor.cli.class_number import class_number
from undoor.cli.console import printed_warnings
from undoor.cli.progress import bars
from undoor.errors import UndoorError, UsageError
from undoor.extensions import declared
from undoor.vocabulary import DEFAULT_FIT, DEFAULT_FPR, FIT_GROUP

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.inversion.meter import Budget
    from undoor.journal import Journal
    from undoor.repair import Repair
    from undoor.scan.report import ScanReport


def _known_fit(name: str) -> str:
    """Refuse an unknown fit, before any work."""
    known = (*get_args(vocabulary.Fit), *declared(FIT_GROUP))
    if name not in known:
        raise typer.BadParameter(f"expected one of {', '.join(known)}, got {name!r}")
    return name


Fit = Annotated[
    str,
    typer.Option(
        metavar="FIT",
        callback=_known_fit,
        help="How corrections are fitted: paired (the default: moments of each unit, and what "
        "pairs of clean and triggered images show of channels together), onepass (moments alone), "
        "paper (the published equations), reference (as the authors' released code works), or one "
        "that an installed package adds.",
    ),
]
Fpr = Annotated[
    float,
    typer.Option(
        help="Share of the clean inputs of a suspected target that may be flagged; "
        "a warning says where the images are too few to guarantee it.",
        metavar="SHARE",
    ),
]

Force = Annotated[
    list[str] | None,
    typer.Option(
        "--force-target",
        help="Repair this class too, by name or number, whatever the scan reports; may be given "
        "several times.",
        metavar="CLASS",
    ),
]

Suspects = Annotated[
    int,
    typer.Option(
        help="Repair the N classes that stand out most, even if the scan names fewer: "
        "a false alarm costs little.",
        metavar="N",
        min=0,
    ),
]

Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Correct channels with the scan's own trigger: 1 to 2 s after the scan instead of 40 "
        "to 90 s; less reliable for patterns over the whole image.",
    ),
]


@dataclass(frozen=True)
class RepairOptions:
    """Options of a repair."""

    fit: Fit = DEFAULT_FIT
    fpr: Fpr = DEFAULT_FPR
    force_target: Force = None
    suspects: Suspects = 0
    quick: Quick = False

    def check(self) -> None:
        """Refuse a rate that is no share, before anything is computed."""
        from undoor.align.guard_threshold import check_fpr

        try:
            check_fpr(self.fpr)
        except UndoorError as error:
            raise UsageError(f"--fpr: {error}") from None

    def check_model(self, classifier: Classifier) -> None:
        """Refuse a network that cannot be corrected or lacks a class, before it is scanned."""
        from undoor.sites import require_repairable

        require_repairable(classifier)
        self.targets(classifier.class_names)

    def targets(self, names: tuple[str, ...]) -> list[int]:
        """Return the numbers of the classes to repair whatever the scan reports."""
        return [class_number(c, "--force-target", names) for c in self.force_target or []]

    def run(
        self,
        classifier: Classifier,
        clean: CleanSet,
        report: ScanReport,
        *,
        seed: int,
        budget: Budget | None = None,
        journal: Journal | None = None,
    ) -> Repair:
        """Return the repair of a scanned model, with progress and warnings on stderr."""
        from undoor.repair import repair
        from undoor.scrutiny import GraphWarning

        with printed_warnings(GraphWarning), bars() as progress:
            return repair(
                classifier,
                clean,
                report,
                fit=self.fit,
                fpr=self.fpr,
                force_targets=self.targets(classifier.class_names),
                suspects=self.suspects,
                quick=self.quick,
                seed=seed,
                budget=budget,
                journal=journal,
                progress=progress,
            )
