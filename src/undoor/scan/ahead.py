"""Search the families of one scan in several processes, ahead of the scan itself.

What a family's search draws does not depend on what the searches before it found. So each process
rehearses the scan: it draws all that the scan would draw and optimises nothing, which gives the
state of the generator at the beginning of every family. From there it searches the families that
no other process has claimed, and stores their results in the journal of the scan. The scan then
finds them there, as after a kill; whatever is missing, it searches itself. Its report is thus that
of one process, whoever searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from undoor.classifier import Classifier
from undoor.clean_set import Clean, given, with_goals_of
from undoor.identity.model import exact_identity
from undoor.inversion.journalled_search import about
from undoor.inversion.logit_scale import standardised
from undoor.inversion.meter import Meter
from undoor.inversion.ranking import ranked_first
from undoor.inversion.smaller import first_look_of
from undoor.inversion.work import Run, Work
from undoor.journal import Journal
from undoor.progress import Progress, silent
from undoor.scan.forecast import passes_of
from undoor.scan.run import MAX_PER_CLASS, prepared
from undoor.scan.screening import first_look, searched
from undoor.scan.search import SearchResult


def search_ahead(
    classifier: Classifier,
    clean: Clean,
    *,
    journal: Journal,
    claim: Callable[[str], bool],
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Search those families of a scan that can be claimed, so that the scan finds their results.

    Parameters
    ----------
    classifier, clean, seed, progress
        As of `undoor.scan.run.scan`.
    journal
        That of the scan.
    claim
        Called with the name of a family; whether it is this process's to search. The most expensive
        ones are claimed first.

    Raises
    ------
    UndoorError
        Unusable clean set, or a model that is not finite or passes no gradients.
    OSError
        The journal cannot be written.
    """
    held = given(clean, classifier).balanced(MAX_PER_CLASS, seed, classifier.task)
    clean = held.on(classifier.device)
    classifier = with_goals_of(classifier, clean)
    journal = about(journal, str(exact_identity(classifier).sha256), held, classifier.device)
    meter = Meter()
    search = standardised(classifier.fast_copy().counted(meter), clean.images)
    run = Run(torch.Generator().manual_seed(seed), meter, progress, journal)
    work = prepared(search, clean, run)
    if isinstance(work, SearchResult):
        return
    work = ranked_first(first_look_of(work)).work
    states = _rehearsed(work)
    costs = {name: passes_of(work.classifier, [name], len(held)) for name in states}
    for name in sorted(states, key=lambda name: -costs[name]):
        if claim(name):
            run.generator.set_state(states[name])
            first_look(work, name)


def _rehearsed(work: Work) -> dict[str, torch.Tensor]:
    """Return the state of the generator at the beginning of every family, in their order."""
    rehearsal = replace(work, run=replace(work.run, rehearsal=True, journal=None, progress=silent))
    states = {}
    for name in searched(work.classifier):
        states[name] = work.run.generator.get_state()
        first_look(rehearsal, name)
    return states
