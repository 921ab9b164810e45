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
    from undoor.scan.report import ScanReport

SCHEMA: Final = "undoor/estimate/1"


@dataclass(frozen=True)
class Estimate:
    """What a command will take at most.

    Attributes
    ----------
    scan, repair
        Sample passes, 0 for what is not done.
    seconds
        Of all passes together.
    measured
        Of how many passes, made on this machine just now, their speed was taken.
    memory
        Bytes that the process will hold, as far as shapes determine it.
    notes
        Sentences on what the figures assume.
    """

    scan: float
    repair: float
    seconds: float
    measured: int
    memory: int
    notes: tuple[str, ...]

    @property
    def passes(self) -> float:
        """Sample passes of all that is done."""
        return self.scan + self.repair

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "passes": round(self.passes),
            "scan_passes": round(self.scan),
            "repair_passes": round(self.repair),
            "seconds": self.seconds,
            "seconds_per_pass": self.seconds / self.passes,
            "measured_passes": self.measured,
            "memory": self.memory,
            "notes": list(self.notes),
        }

    def result(self) -> CommandResult:
        """Return the estimate as the result of a command."""
        return CommandResult(ExitCode.CLEAN, self.to_json(), self._show)

    def _show(self, console: Console) -> None:
        lines = [
            f"at most {round(self.passes):,} sample passes, {self.memory / 1e6:,.0f} MB of memory",
            f"{duration(self.seconds)} at {self.passes / self.seconds:,.0f} passes per "
            f"second, as measured over {self.measured} of them just now; other work on this "
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
    from undoor.inversion.smaller import smaller_look
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
    network = classifier.fast_copy()
    speed = measured_speed(network, clean.images)
    small = None if scanned else smaller_look(network, clean.images)
    first_speed = speed if small is None else measured_speed(*small)
    first = 0.0 if scanned else first
    scan = 0.0 if scanned else SCRUTINY
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
        scan=scan + first,
        repair=fixing,
        seconds=(scan + fixing) * speed.seconds_per_pass + first * first_speed.seconds_per_pass,
        measured=speed.passes if small is None else speed.passes + first_speed.passes,
        memory=resident() + memory_of(classifier, clean, fit=repair),
        notes=(
            *(() if scanned else (MORE_WHERE_IT_STANDS_OUT,)),
            *(() if small is None else (_on_smaller(small[0].input_shape),)),
            *((ONE_TARGET,) if repair and not scanned else ()),
        ),
    )


def _on_smaller(shape: Sequence[int]) -> str:
    return f"the first search works on images of {shape[1]} x {shape[2]} pixels"
