"""Estimate the cost of a command instead of running it (`--estimate`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from undoor.cli.command import CommandResult
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import duration

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.inversion.timing import MeasuredSpeed
    from undoor.scan.report import ScanReport

SCHEMA: Final = "undoor/estimate/1"


@dataclass(frozen=True)
class Estimate:
    """What a command will take at most.

    Attributes
    ----------
    scan, repair
        Sample passes, 0 for what is not done.
    speed
        How fast passes went on this machine just now.
    memory
        Bytes that the process will hold, as far as shapes determine it.
    notes
        Sentences on what the figures assume.
    """

    scan: float
    repair: float
    speed: MeasuredSpeed
    memory: int
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Seconds of all passes together."""
        return (self.scan + self.repair) * self.speed.seconds_per_pass

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "passes": round(self.scan + self.repair),
            "scan_passes": round(self.scan),
            "repair_passes": round(self.repair),
            "seconds": self.seconds,
            "seconds_per_pass": self.speed.seconds_per_pass,
            "measured_passes": self.speed.passes,
            "memory": self.memory,
            "notes": list(self.notes),
        }

    def result(self) -> CommandResult:
        """Return the estimate as the result of a command."""
        return CommandResult(ExitCode.CLEAN, self.to_json(), self._show)

    def _show(self, console: Console) -> None:
        passes = round(self.scan + self.repair)
        lines = [
            f"at most {passes:,} sample passes, {self.memory / 1e6:,.0f} MB of memory",
            f"{duration(self.seconds)} at {1 / self.speed.seconds_per_pass:,.0f} passes per "
            f"second, as measured over {self.speed.passes} of them just now; other work on this "
            "machine changes that",
            *self.notes,
        ]
        for line in lines:
            console.print(Text(f"• {line}"), soft_wrap=True)


MORE_WHERE_IT_STANDS_OUT: Final = "classes that stand out are searched again, which takes more"
ONE_TARGET: Final = "one target is assumed; a scan that names more, or none, changes that"


def estimate(
    classifier: Classifier,
    clean: CleanSet,
    *,
    scanned: ScanReport | None = None,
    repair: bool = False,
    targets: Sequence[int] | None = None,
    quick: bool = False,
) -> Estimate:
    """Return the cost of a scan of `classifier`, and of a repair if `repair`.

    Parameters
    ----------
    scanned
        The report of an earlier scan, where there is one.
    targets
        Those asked for; all where none are given.
    quick
        As of `undoor.repair`.
    """
    from undoor.align.forecast import passes_of_repair
    from undoor.align.plans import candidate_plans
    from undoor.cli.memory import resident
    from undoor.inversion.capacity import memory_of
    from undoor.inversion.goals import number_searched
    from undoor.inversion.ranking import passes_of_ranking
    from undoor.inversion.timing import measured_speed
    from undoor.scan.forecast import SCRUTINY, passes_of
    from undoor.scan.limits import goals_of
    from undoor.scan.run import MAX_PER_CLASS
    from undoor.scan.screening import searched
    from undoor.sites import find_sites

    images = min(len(clean), MAX_PER_CLASS * classifier.num_classes)
    goals = goals_of(classifier, targets)
    names, classes = searched(classifier), classifier.num_classes
    count = number_searched(classes) if goals is None else len(goals.searched)
    sources = int(classifier.task.groups(clean.labels).unique().numel())
    first = passes_of(classifier, names, images, targets=count, sources=sources)
    first += passes_of_ranking(len(names)) if goals is None and count < classes else 0.0
    scan = 0.0 if scanned else SCRUTINY + first
    fixing = 0.0
    if repair:
        fixing = SCRUTINY + passes_of_repair(
            classifier,
            clean,
            scanned,
            plans=len(candidate_plans(find_sites(classifier))),
            quick=quick,
        )
    return Estimate(
        scan=scan,
        repair=fixing,
        speed=measured_speed(classifier.fast_copy(), clean.images),
        memory=resident() + memory_of(classifier, clean, fit=repair),
        notes=(
            *(() if scanned else (MORE_WHERE_IT_STANDS_OUT,)),
            *((ONE_TARGET,) if repair and not scanned else ()),
        ),
    )
