"""Measure the smallest triggers of another family at one size: opaque where they are strongest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from undoor.families.family import Family
from undoor.inversion.candidates import Candidate
from undoor.inversion.margins import ANSWERING, finite
from undoor.inversion.work import Work
from undoor.triggers import Stamp, Trigger


def opaque_margins(
    work: Work, family: Family, smallest: Sequence[Candidate]
) -> tuple[Candidate, ...]:
    """Return the smallest triggers with their strongest pixels alone, and how clearly they work.

    Nothing is searched for: the pixels whose mask is largest replace those of the image entirely,
    the others do nothing. The margin is the mean one on held-out inputs of other classes, in units
    of the median margin of clean inputs. The natural direction of the class is not barred: many
    planted triggers move inputs along it.

    Parameters
    ----------
    work
        The model, its images and the budget.
    family
        One that is `made_of` another.
    smallest
        Candidates of that one, whose triggers are stamps: the smallest, or where none works the one
        with the highest ASR.

    Returns
    -------
    tuple of Candidate
        One for each of them, in their order.

    Raises
    ------
    UndoorError
        Margins are not finite.
    BudgetEnded
        Before all were measured.
    """
    assert family.at_size is not None
    pixels = max(1, round(family.at_size.size * family.growth(work.classifier.extent)))
    tried = family.at_size.tried
    return tuple(
        _measured(work, family, opaque(each.trigger, pixels), each.target, tried)
        for each in smallest
    )


def opaque(trigger: Trigger, pixels: int) -> Stamp:
    """Return a stamp with the `pixels` at which its mask is largest, opaque there.

    >>> stamp = Stamp("patch", torch.tensor([[[0.2, 0.9]]]), torch.ones(1, 1, 2), "replace", (0, 1))
    >>> opaque(stamp, 1).mask
    tensor([[[0., 1.]]])
    """
    assert isinstance(trigger, Stamp)
    flat = trigger.mask.flatten()
    chosen = flat.topk(min(pixels, len(flat))).indices
    mask = torch.zeros_like(flat).index_fill_(0, chosen, 1.0).view_as(trigger.mask)
    return replace(trigger, mask=mask)


def _measured(work: Work, family: Family, trigger: Stamp, target: int, tried: int) -> Candidate:
    name, task = family.candidates.name, work.classifier.task
    x = work.images.x[work.images.tried_on(target)[:tried]]
    with torch.no_grad():
        logits = work.classifier.logits(trigger(x), ANSWERING)
    margins = finite(task.margin(logits.float(), target), name) / work.clean_margin
    size = float(trigger.mask.sum())
    return Candidate(target, name, size, trigger, margin=float(margins.mean()))
