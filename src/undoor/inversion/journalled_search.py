"""Searches whose results are stored in a journal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import array, described, fast_bfloat16, from_array
from undoor.extensions import extensions
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Candidate, Search
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.invert import invert
from undoor.inversion.meter import Meter, Spent
from undoor.journal import NO_DRAFT, Arrays, Draft, Journal, digest
from undoor.progress import Progress, silent
from undoor.triggers import trigger_of
from undoor.vocabulary import FAMILY_GROUP

STATE = "generator"


def about(journal: Journal, sha256: str, clean: CleanSet, device: torch.device) -> Journal:
    """Return the journal for steps on one model and its images.

    By this version of undoor and on this device: other ones may compute other numbers.

    Parameters
    ----------
    journal
        The journal of the output folder.
    sha256
        Fingerprint of the model.
    clean
        Its images.
    device
        What the work runs on.
    """
    return journal.about(
        version("undoor"),
        torch.__version__,
        torch.get_num_threads(),  # Sums in another order end in other last digits.
        described(device),
        fast_bfloat16(device),
        sha256,
        array(clean.images),
        array(clean.labels),
        *(f"{each.name} {each.version}" for each in extensions(FAMILY_GROUP)),
    )


def search(
    classifier: Classifier,
    images: Tensor,
    searches: Sequence[Search],
    *,
    family: str,
    schedule: Schedule,
    generator: torch.Generator,
    journal: Journal | None,
    class_directions: ClassDirections | None = None,
    meter: Meter | None = None,
    progress: Progress = silent,
) -> tuple[Candidate, ...]:
    """Call `invert`, or read its result from the journal where it is there already.

    Generator and meter then advance as if the search had run. With a journal the results are
    always those stored, so that a resumed run and one that was never killed agree.

    Parameters
    ----------
    journal
        Where results and checkpoints are stored; None stores nothing. All others as of `invert`.

    Raises
    ------
    UndoorError
        As `invert`.
    OSError
        The journal cannot be written.
    """
    meter = meter or Meter()

    def compute(draft: Draft) -> tuple[Candidate, ...]:
        return invert(
            classifier,
            images,
            searches,
            family=family,
            schedule=schedule,
            generator=generator,
            class_directions=class_directions,
            meter=meter,
            draft=draft,
            progress=progress,
        )

    facts = (family, schedule, *map(search_digest, searches))
    return journalled(compute, journal, "search", generator, meter, facts, classifier=classifier)


def journalled(
    compute: Callable[[Draft], tuple[Candidate, ...]],
    journal: Journal | None,
    name: str,
    generator: torch.Generator,
    meter: Meter,
    facts: Sequence[object],
    *,
    classifier: Classifier,
) -> tuple[Candidate, ...]:
    """Return candidates from the journal where they are there already; see `step`."""

    def arrays_of(draft: Draft) -> Arrays:
        return {
            f"{index}/{key}": value
            for index, candidate in enumerate(compute(draft))
            for key, value in _arrays(candidate).items()
        }

    if journal is None:
        return compute(NO_DRAFT)
    arrays = step(journal, name, arrays_of, generator, meter, *facts)
    count = sum(key.endswith("/target") for key in arrays)
    return tuple(_candidate(arrays, f"{index}/", classifier) for index in range(count))


def step(
    journal: Journal,
    name: str,
    compute: Callable[[Draft], Arrays],
    generator: torch.Generator,
    meter: Meter,
    *facts: object,
) -> Arrays:
    """Run a step that draws from a generator and spends of a meter, or read it from the journal.

    Where it is read, generator and meter advance as if it had run.

    Parameters
    ----------
    journal
        Where the result is stored.
    name
        Of the kind of step.
    compute
        Makes the result, given where to write checkpoints.
    generator
        The source of chance.
    meter
        What counts the passes.
    facts
        All else that the result depends on.
    """

    def arrays_of(draft: Draft) -> Arrays:
        spent = Spent(meter)
        found = compute(draft)
        return {**found, STATE: array(generator.get_state()), **spent.arrays()}

    arrays, resumed = journal.step(name, arrays_of, *facts, array(generator.get_state()))
    if resumed:
        generator.set_state(from_array(arrays[STATE]))
        Spent(meter).resume(arrays)
    return arrays


def search_digest(search: Search) -> str:
    """Return a digest of all that a search depends on."""
    start = {} if search.start is None else search.start.named_arrays()
    leave = () if search.leave is None else (array(search.leave),)
    flat = [part for key in sorted(start) for part in (key, start[key])]
    return digest(search.target, array(search.pool), *leave, *flat)


def _arrays(candidate: Candidate) -> dict[str, Any]:
    size = math.nan if candidate.size is None else candidate.size
    trigger = {f"trigger/{key}": value for key, value in candidate.trigger.named_arrays().items()}
    return {
        "target": np.array(candidate.target),
        "family": np.array(candidate.family),
        "size": np.array(size),
        "margin": np.array(math.nan if candidate.margin is None else candidate.margin),
        "asr": np.array(candidate.asr),
        **trigger,
    }


def _candidate(arrays: Arrays, prefix: str, classifier: Classifier) -> Candidate:
    values = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    inside = {k.removeprefix("trigger/"): v for k, v in values.items() if k.startswith("trigger/")}
    size, margin = float(values["size"]), float(values["margin"])
    return Candidate(
        target=int(values["target"]),
        family=str(values["family"]),
        size=None if math.isnan(size) else size,
        trigger=trigger_of(inside, shape=classifier.input_shape, bounds=classifier.bounds),
        asr=float(values["asr"]),
        margin=None if math.isnan(margin) else margin,
    )
