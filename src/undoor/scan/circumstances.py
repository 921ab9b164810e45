"""Under which circumstances a scan was made: options, software, machine and data."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Any

import torch

from undoor.clean_set import CleanSet
from undoor.device import array, fast_bfloat16
from undoor.inversion.meter import Budget
from undoor.scan.coverage import with_lists


@dataclass(frozen=True)
class Circumstances:
    """What a reader needs to repeat a scan; None (or nothing) where an older scan does not say.

    Attributes
    ----------
    alpha
        The combined p-value at which a class is called a target.
    max_passes, max_seconds
        The budget; None for none.
    accept_graph, accept_coverage
        What the user accepted.
    undoor, torch, python
        Versions.
    machine
        The kind of processor, and what it computes with.
    arithmetic
        In which numbers the searches computed.
    samples_sha256
        Over the clean samples used and their labels, in whatever order they came.
    per_class
        How many of each class were used, in class order.
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
    samples_sha256: str | None = None
    per_class: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Texts and numbers."""
        return asdict(self, dict_factory=with_lists)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Circumstances:
        """Return the inverse of `to_json`.

        Raises
        ------
        KeyError, TypeError
            These are no circumstances.
        """
        return Circumstances(**{**data, "per_class": tuple(data["per_class"])})


def circumstances(
    clean: CleanSet,
    device: torch.device,
    budget: Budget,
    *,
    classes: int,
    alpha: float,
    accept_graph: bool,
    accept_coverage: str,
) -> Circumstances:
    """Return those of a scan with these samples and options, on a device of this machine."""
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
        arithmetic="bfloat16" if fast_bfloat16(device) else "float32",
        samples_sha256=samples_sha256(clean),
        per_class=tuple(clean.labels.bincount(minlength=classes).tolist()),
    )


def now() -> str:
    """Date and time in UTC, to the second: 2026-01-31T12:00:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def samples_sha256(clean: CleanSet) -> str:
    """SHA-256 over samples and labels, the same in whatever order they come.

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
    """Return of undoor, as installed."""
    try:
        return installed("undoor")
    except PackageNotFoundError:
        return "0"
