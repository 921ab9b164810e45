"""The circumstances of a scan: options, software, machine and data."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Any

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import array, fast_bfloat16
from undoor.families.calibration import Calibration
from undoor.inversion.meter import Budget
from undoor.scan.coverage import with_lists


@dataclass(frozen=True)
class Circumstances:
    """What is needed to repeat a scan; None or empty where an older report does not hold it.

    Attributes
    ----------
    alpha
        The combined p-value at which a class is called a target.
    max_passes, max_seconds
        The budget; None where there was none.
    accept_graph, accept_coverage
        What the user accepted.
    undoor, torch, python
        Versions.
    machine
        The kind of processor and its instruction set.
    arithmetic
        The type of numbers of the searches: "bfloat16" or "float32".
    calibration_sha256
        Of what natural triggers look like (`undoor.families.calibration`).
    samples_sha256
        Over the clean samples used and their labels, the same for any order of them.
    per_class
        How many of each class were used, in class order.
    targets
        The classes that were asked for as targets; empty for all.
    """

    alpha: float | None = None
    max_passes: int | None = None
    max_seconds: float | None = None
    accept_graph: bool | None = None
    accept_coverage: str | None = None
    undoor: str | None = None
    torch: str | None = None
    python: str | None = None
    machine: str | None = None
    arithmetic: str | None = None
    calibration_sha256: str | None = None
    samples_sha256: str | None = None
    per_class: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return every field by its name, as JSON has it."""
        return asdict(self, dict_factory=with_lists)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Circumstances:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError
            `data` is not what `to_json` gives.
        """
        targets = tuple(data.get("targets", ()))
        return Circumstances(**{**data, "per_class": tuple(data["per_class"]), "targets": targets})


def circumstances(
    clean: CleanSet,
    classifier: Classifier,
    budget: Budget,
    *,
    alpha: float,
    accept_graph: bool,
    accept_coverage: str,
    calibration: Calibration,
    targets: Sequence[int] = (),
) -> Circumstances:
    """Return the circumstances of a scan with these samples and options.

    Parameters
    ----------
    clean
        The samples, N of them, as the model takes them.
    classifier
        The model, on the device that the scan ran on.
    budget
        What it was allowed to take.
    calibration
        What natural triggers look like.
    alpha, accept_graph, accept_coverage, targets
        As of `Circumstances`.
    """
    task, goals = classifier.task, range(classifier.num_classes)
    return Circumstances(
        alpha=alpha,
        max_passes=budget.passes,
        max_seconds=budget.seconds,
        accept_graph=accept_graph,
        accept_coverage=accept_coverage,
        undoor=version(),
        torch=torch.__version__,
        python=platform.python_version(),
        machine=f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        arithmetic="bfloat16" if fast_bfloat16(classifier.device) else "float32",
        calibration_sha256=calibration.sha256,
        samples_sha256=samples_sha256(clean),
        per_class=tuple(int(task.reached(clean.labels, goal).sum()) for goal in goals),
        targets=tuple(targets),
    )


def now() -> str:
    """Return date and time in UTC, to the second: 2026-01-31T12:00:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def samples_sha256(clean: CleanSet) -> str:
    """Return the SHA-256 over samples and labels, the same for any order of them.

    Parameters
    ----------
    clean
        Samples [N, ...] as the model takes them.

    Examples
    --------
    >>> few = CleanSet(torch.arange(4.0).view(2, 2), torch.tensor([0, 1]))
    >>> samples_sha256(few) == samples_sha256(CleanSet(few.images.flip(0), few.labels.flip(0)))
    True
    """
    images, labels = array(clean.images.contiguous()), clean.labels.tolist()
    each = sorted(
        hashlib.sha256(f"{label}:".encode() + image.tobytes()).digest()
        for image, label in zip(images, labels, strict=True)
    )
    return hashlib.sha256(b"".join(each)).hexdigest()


def version() -> str:
    """Return the version of undoor that is installed; "0" where it is not installed."""
    try:
        return installed("undoor")
    except PackageNotFoundError:
        return "0"
