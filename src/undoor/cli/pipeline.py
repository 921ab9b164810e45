"""The steps of the commands. Each imports what it needs when it is called."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from undoor.cli.console import old_file_warnings, say
from undoor.cli.progress import bars
from undoor.errors import BudgetEnded, UndoorError
from undoor.extras import how_to_install
from undoor.files import sha256_of
from undoor.vocabulary import SCAN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.evaluate import Evaluation
    from undoor.inversion.meter import Budget
    from undoor.journal import Journal
    from undoor.render.results import Results
    from undoor.repair import Repair, TargetRepair
    from undoor.scan.report import ScanReport
    from undoor.triggers.trigger import Trigger


def require_library(name: str) -> None:
    """Refuse to go on without a library of the extra `serve`."""
    try:
        importlib.import_module(name)
    except ImportError:
        raise UndoorError(
            f"this takes the library {name}, which is not installed; {how_to_install('serve')}"
        ) from None


def read_scan(folder: Path, classifier: Classifier) -> ScanReport:
    """Return the report of an earlier scan; refuse that of another model."""
    from undoor.scan.report import ScanReport

    with old_file_warnings():
        report = ScanReport.load(folder, shape=classifier.input_shape, bounds=classifier.bounds)
    report.require_model(classifier, str(folder))
    return report


def read_scan_beside(repair: Path, classifier: Classifier) -> ScanReport | None:
    """Return the report of the scan that a repair was made from.

    None where only the repair is there.
    """
    folder = folder_of(repair)
    return read_scan(folder, classifier) if (folder / SCAN_FILE).exists() else None


def folder_of(repair: Path) -> Path:
    """Return the folder of a repair that is given as a folder or as a file."""
    return repair.parent if repair.is_file() else repair


def warn_of_batches(classifier: Classifier) -> None:
    """Warn on stderr where a prediction depends on chance or on other inputs of the batch."""
    from undoor.scrutiny import depends_on_batch_or_chance

    for item in depends_on_batch_or_chance(classifier):
        say(f"WARNING: {item.sentence}")


@contextmanager
def spent_before(passes: float, seconds: float) -> Iterator[None]:
    """Count, where a budget ends, what the same command spent of it before."""
    try:
        yield
    except BudgetEnded as error:
        whole = error.passes + passes, error.seconds + seconds
        raise BudgetEnded(*whole, error.advice) from error


def read_repair(path: Path, classifier: Classifier, sha256: str | None = None) -> Repair:
    """Return the repair at `path`; refuse that of another model.

    Parameters
    ----------
    sha256
        The hash that its file must have.
    """
    from undoor.repair import Repair

    with old_file_warnings():
        return Repair.load(path, classifier, sha256=sha256)


def adapt_repair(
    classifier: Classifier,
    clean: CleanSet,
    repair: Repair,
    inputs: Tensor,
    *,
    seed: int,
    budget: Budget,
    journal: Journal | None = None,
) -> tuple[Repair, dict[int, Tensor]]:
    """Return the adapted repair, and the inputs that the original repair flagged, by target."""
    from undoor.adapt import adapt, flagged_inputs
    from undoor.inversion.meter import Meter

    meter = Meter(budget)
    with bars() as progress:
        found = flagged_inputs(classifier.counted(meter), repair, inputs, meter.watching(progress))
        spent = meter.passes, meter.seconds
        with spent_before(*spent):
            adapted = adapt(
                classifier,
                clean,
                repair,
                inputs,
                flagged=found,
                seed=seed,
                budget=budget.less(*spent),
                journal=journal,
                progress=progress,
            )
    return adapted, found


def evaluate_repair(
    classifier: Classifier, repair: Repair, clean: CleanSet, triggered: CleanSet, target: int
) -> Evaluation:
    """Return the evaluation of a repair, with progress on stderr."""
    from undoor.evaluate import evaluate
    from undoor.guard import guard

    with bars() as progress:
        progress("evaluate", 0, 1)
        result = evaluate(classifier, guard(classifier, repair), clean, triggered, target)
        progress("evaluate", 1, 1)
    return result


def stamp(
    clean: CleanSet, trigger: Trigger, target: int, source: int | None, classifier: Classifier
) -> CleanSet:
    """Return the triggered test set; see `undoor.evaluate.stamp_set`."""
    from undoor.evaluate import stamp_set

    return stamp_set(clean, trigger, target, source, space=classifier.space, task=classifier.task)


def results(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    *,
    model: str,
    data: str,
    repair: Repair | None = None,
    evaluation: Evaluation | None = None,
    flagged: Mapping[int, Tensor] | None = None,
) -> Results:
    """Return the input of reports; refitted corrections are shown on the `flagged` inputs."""
    from undoor.align.unit_activations import most_moved_units
    from undoor.render.results import Results
    from undoor.render.subject import Subject

    classifier = classifier.with_goals(report.goals)
    units = {
        item.target: most_moved_units(
            classifier,
            item.corrections,
            item.trigger,
            _of_classes(classifier, clean, item.sources),
            seen=_seen(item, flagged or {}),
        )
        for item in (repair.targets if repair else ())
    }
    subject = Subject(
        model=model,
        data=data,
        network=type(classifier.network).__name__,
        parameters=sum(p.numel() for p in classifier.network.parameters()),
        input_shape=classifier.input_shape,
        bounds=classifier.bounds,
        weights_sha256=_weights_sha256(Path(model)),
    )
    return Results(report, subject, repair, evaluation, clean, units)


def _weights_sha256(model: Path) -> str | None:
    """Return the SHA-256 of the weight file; None where the model has none, or several."""
    from undoor.inspect.files import weights_of

    try:
        file = weights_of(model)
        return None if file is None else sha256_of(file)
    except (UndoorError, OSError):
        return None


def _seen(item: TargetRepair, flagged: Mapping[int, Tensor]) -> Tensor | None:
    refitted = item.adapted is not None and item.adapted.refitted
    return flagged.get(item.target) if refitted else None


def _of_classes(classifier: Classifier, clean: CleanSet, classes: tuple[int, ...]) -> Tensor:
    chosen = classifier.task.among(clean.labels, classes)
    return clean.images[chosen] if bool(chosen.any()) else clean.images
