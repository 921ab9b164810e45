"""Learn what natural triggers look like, from scans of models without a backdoor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from undoor.calibrate.lowest import (
    MIN_MODELS,
    fit_families,
    fit_lowest,
    lowest_combinations,
    power,
)
from undoor.calibrate.observation import Observation
from undoor.errors import UndoorError
from undoor.families.calibration import Calibration, Scope, calibration_for, parsed
from undoor.kinds import checked
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor.vocabulary import MANY_CLASSES

__all__ = ["MIN_MODELS", "Observation", "calibrate", "fitted"]


@checked
def calibrate(
    reports: Mapping[str, ScanReport],
    *,
    accept_backdoored: bool = False,
    progress: Progress = silent,
) -> Calibration:
    """Learn what natural triggers look like from scans of clean models of yours.

    For inputs, sizes or networks that undoor's own calibration does not hold for. How much each
    family counts is undoor's, as clean models do not show it.

    Parameters
    ----------
    reports
        By the name of the model, at least ten: of different trainings, architectures and data like
        those of the models that will be scanned, with as many clean images per class.
    accept_backdoored
        Whether models count that their own scan calls backdoored: you know that they are clean.
    progress
        Progress callback.

    Returns
    -------
    Calibration
        For `undoor.scan`.

    Raises
    ------
    UndoorError
        Too few reports, several of one model, of models that are called backdoored, of searches
        that ended early, or of models that differ in inputs, task or kind, or of which some have
        fewer than five classes and others more.

    Examples
    --------
    >>> calibrate({})
    Traceback (most recent call last):
    ...
    undoor.errors.UndoorError: expected reports of at least 10 clean models, got 0; scan more
    """
    if len(reports) < MIN_MODELS:
        raise UndoorError(
            f"expected reports of at least {MIN_MODELS} clean models, got {len(reports)}; scan more"
        )
    of_model = Counter(report.fingerprint for report in reports.values())
    ((model, count),) = of_model.most_common(1)
    if count > 1:
        raise UndoorError(
            f"expected reports of different models, got {count} of the one with SHA-256 {model}; "
            "give one each"
        )
    called = [name for name, report in reports.items() if report.verdict == "backdoored"]
    if called and not accept_backdoored:
        raise UndoorError(
            f"expected clean models, got {', '.join(called)}, which their scans call backdoored; "
            "leave them out, or give --accept-backdoored (in Python accept_backdoored=True) if you "
            "know that they are clean"
        )
    models = [Observation.of_clean(report, name) for name, report in reports.items()]
    first, fewest = models[0], min(model.classes for model in models)
    usual = calibration_for(fewest, first.space, first.task, first.shape, first.network)
    return fitted(models, usual=usual, progress=progress)[0]


def fitted(
    models: Sequence[Observation],
    *,
    usual: Calibration | None = None,
    progress: Progress = silent,
) -> tuple[Calibration, dict[str, float]]:
    """Return what models teach, and the lowest combination of each by its name.

    Parameters
    ----------
    models
        Scans of them.
    usual
        Whose weights count, where none of the models has a backdoor to learn them from.
    progress
        Progress callback.

    Raises
    ------
    UndoorError
        As of `calibrate`.
    """
    scope = _scope(models)
    nulls, agreed = fit_families(models, absolute=scope.absolute, usual=usual)
    combinations = lowest_combinations(
        models, absolute=scope.absolute, usual=usual, progress=progress
    )
    lowest = fit_lowest(list(combinations.values()))
    names = tuple(model.name for model in models)
    shown = power(models, nulls, agreed, lowest)
    unreached = tuple(sorted(_unreached(models) - nulls.keys()))
    made = Calibration(nulls, agreed, lowest, scope, names, shown, unreached)
    # With the digits of its file.
    return parsed(made.to_toml()), combinations


def _unreached(models: Sequence[Observation]) -> set[str]:
    """Return the families of which no trigger worked in any model."""
    every = [item for model in models for item in model.evidence]
    return {item.family for item in every} - {i.family for i in every if i.size is not None}


def _scope(models: Sequence[Observation]) -> Scope:
    """Return what a calibration that is learned from these models holds for."""
    kinds = sorted({(model.space, model.task, model.network) for model in models})
    if len(kinds) != 1:
        raise UndoorError(
            "expected models of one kind of inputs, outputs and network, got "
            f"{'; '.join(map(', '.join, kinds)) or 'none'}; calibrate on each kind by itself"
        )
    counts = [model.classes for model in models]
    few = min(counts) < MANY_CLASSES
    if few and max(counts) >= MANY_CLASSES:
        raise UndoorError(
            f"expected models that all have at least {MANY_CLASSES} classes, or all fewer, got "
            f"{min(counts)} to {max(counts)}; calibrate on each by itself"
        )
    sides = [side for model in models for side in model.shape[1:]] or [0]
    channels = [model.shape[0] for model in models]
    ((space, task, network),) = kinds
    return Scope(
        space,
        task,
        network,
        sides=(min(sides), max(sides)),
        channels=(min(channels), max(channels)),
        classes=(min(counts), max(counts)) if few else (MANY_CLASSES, 0),
    )
