"""What a scan of a network costs, family by family, beside the network's own best speed."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import autocast
from undoor.errors import BudgetEnded, UndoorError
from undoor.inversion.logit_scale import standardised
from undoor.inversion.meter import Meter
from undoor.inversion.ranking import ranked_first
from undoor.inversion.smaller import FirstLook, first_look_of
from undoor.inversion.work import Run, Work
from undoor.progress import Progress, silent
from undoor.scan.forecast import passes_of
from undoor.scan.run import prepared
from undoor.scan.screening import first_look, searched
from undoor_bench.real.peak import forget_peak, peak
from undoor_bench.records import Record

# Batches whose best is the network's own speed; a search of the same batch went before.
REPEATS = 2


@dataclass(eq=False)
class Watch(Meter):
    """A meter that remembers the batches with gradients, and ends with the batch after `stop`."""

    batches: Counter[int] = field(default_factory=Counter)
    stop: float = math.inf

    def before_pass(self, inputs: int) -> None:
        """Count a batch of inputs that is about to go through a network."""
        if self.passes >= self.stop:
            raise BudgetEnded(self.passes, self.seconds)
        super().before_pass(inputs)
        if torch.is_grad_enabled():
            self.batches[inputs] += inputs

    def allow(self, passes: float) -> None:
        """Let so many more sample passes be spent, rounded up to a batch."""
        self.stop = self.passes + passes
        self.batches.clear()


def measured_families(
    classifier: Classifier,
    clean: CleanSet,
    *,
    sample: int,
    smaller: bool = True,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Record]:
    """Begin the first search of every family, and return what its passes cost.

    Processor seconds of this process are given beside those of the clock, as other work on the
    machine changes the latter.

    Parameters
    ----------
    classifier
        The model, with its bound on memory, if any.
    clean
        Clean images.
    sample
        Sample passes that every family gets at most: the whole of a scan may take hours.
    smaller
        Whether large images are searched on smaller ones first, as a scan does.
    seed
        Of the scan.
    progress
        Progress callback.

    Raises
    ------
    UndoorError
        The model cannot be searched by these images.
    """
    watch = Watch()
    clean = clean.for_classifier(classifier).on(classifier.device)
    search = standardised(classifier.fast_copy().counted(watch), clean.images)
    run = Run(torch.Generator().manual_seed(seed), watch)
    work = prepared(search, clean, run)
    if not isinstance(work, Work):
        raise UndoorError(
            "expected a model whose predictions fit the images, got one that cannot be searched "
            f"({work.reasons[0].code}); give images of its classes"
        )
    work = ranked_first(first_look_of(work) if smaller else FirstLook(work, work)).work
    names = searched(search)
    found = []
    for done, name in enumerate(names):
        progress("families", done, len(names))
        found.append(_measured(work, watch, name, sample))
    progress("families", len(names), len(names))
    return found


def _measured(work: Work, watch: Watch, name: str, sample: int) -> Record:
    """Return what the passes of one family cost; a family made of another has none."""
    watch.allow(sample)
    forget_peak()
    before, wall, processor = watch.passes, time.perf_counter(), time.process_time()
    ended = False
    try:
        first_look(work, name)
    except BudgetEnded:
        ended = True
    seconds, processor = time.perf_counter() - wall, time.process_time() - processor
    passes = watch.passes - before
    batch = watch.batches.most_common(1)[0][0] if watch.batches else 0
    record: Record = {
        "family": name,
        "passes": round(passes),
        "whole": not ended,
        "forecast": round(_forecast(work, name)),
        "shape": list(work.classifier.input_shape),
        "seconds": seconds,
        "processor_seconds": processor,
        "batch": batch,
        "peak_bytes": peak(),
    }
    if batch:
        watch.allow(math.inf)
        record |= bare_speed(work.classifier, work.images.x, batch)
    return record


def _forecast(work: Work, name: str) -> float:
    return passes_of(
        work.classifier,
        [name],
        len(work.images.x),
        targets=len(work.targets),
        sources=work.images.classes_with_images,
    )


def bare_speed(classifier: Classifier, images: Tensor, batch: int) -> dict[str, Any]:
    """Return the network's best seconds per input, forward and backward to the input alone.

    Laid out and in the precision of a search, at its batch.
    """
    x = images[torch.arange(batch, device=images.device) % len(images)]
    x = x.contiguous(memory_format=classifier.memory_format)
    taken = []
    for _ in range(REPEATS):
        leaf = x.clone().requires_grad_(True)
        wall, processor = time.perf_counter(), time.process_time()
        with autocast(x.device):
            logits = classifier(leaf)
        torch.autograd.grad(logits.float().sum(), leaf)
        taken.append((time.process_time() - processor, time.perf_counter() - wall))
    best, wall = (min(each) / batch for each in zip(*taken, strict=True))
    return {"bare_processor_seconds_per_pass": best, "bare_seconds_per_pass": wall}
