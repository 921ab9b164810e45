"""What the rivals share: a copy to tune, clean batches, descent, a held-out part.

Batches are shuffled and nothing else. The papers mirror and crop their images as well, but mirrored
signs and digits are other classes, and a crop moves a trigger that the scan found at its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import CPU, autocast
from undoor.errors import UndoorError
from undoor.progress import Progress


@dataclass(frozen=True)
class Descent:
    """SGD with momentum whose rate falls to 0 along half a cosine.

    Attributes
    ----------
    steps, batch
        The number of steps, and images per step (fewer where there are fewer). Papers count epochs
        of 2,500 images; a fixed number of steps does the same work for 100 images as for 1,000.
    rate
        The first learning rate.
    """

    steps: int = 400
    batch: int = 64
    rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4


def norms(module: nn.Module) -> list[_BatchNorm]:
    """Return all batch normalisations of a module."""
    return [child for child in module.modules() if isinstance(child, _BatchNorm)]


def tunable(classifier: Classifier, clean: CleanSet) -> Classifier:
    """Return a copy whose weights may be trained on `clean`, its batch norms counting anew.

    Everything else stays as it is for inference: dropout would draw from torch's global generator.

    Raises
    ------
    UndoorError
        There are fewer than two images, too few for a variance.
    """
    if len(clean) < 2:
        raise UndoorError(
            f"expected at least 2 clean images to tune the model with, got {len(clean)}; "
            "give a few of each class"
        )
    student = classifier.fast_copy().eval()
    student.network.requires_grad_(True)
    for norm in norms(student):
        norm.train()
    return student


def finished(student: Classifier) -> Classifier:
    """Return `student` itself, ready for inference and with its weights at rest.

    Raises
    ------
    UndoorError
        A weight is not finite.
    """
    student.eval().requires_grad_(False)
    student.zero_grad(set_to_none=True)
    for name, value in student.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise UndoorError(f"tuning left {name} with NaN or infinity; use a lower rate")
    return student


def logits(classifier: Classifier, x: Tensor) -> Tensor:
    """Return logits [N, K] of raw inputs [N, ...], in the layout and numbers fast on this CPU."""
    if x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    with autocast(CPU):
        return classifier(x).float()


def loss_on(classifier: Classifier, clean: CleanSet, rows: Tensor) -> Tensor:
    """Return the mean cross entropy of the clean images at `rows`, with their labels."""
    return F.cross_entropy(logits(classifier, clean.images[rows]), clean.labels[rows])


def accuracy(classifier: Classifier, clean: CleanSet) -> float:
    """Return the share of `clean` that the classifier, as it stands, predicts correctly.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> _ = nn.init.zeros_(net[1].weight), nn.init.constant_(net[1].bias[:1], 1)
    >>> clean = CleanSet(torch.zeros(4, 1, 2, 2), torch.tensor([0, 0, 0, 1]))
    >>> accuracy(Classifier(net, input_shape=(1, 2, 2)), clean)
    0.75
    """
    return float((classifier.predict(clean.images) == clean.labels).float().mean())


def known(base: Classifier, clean: CleanSet) -> CleanSet:
    """Return the clean images that the classifier predicts correctly.

    Raises
    ------
    UndoorError
        There are none.
    """
    right = base.predict(clean.images) == clean.labels
    if not bool(right.any()):
        raise UndoorError(
            "the model predicts none of the clean images correctly, so nothing is to be preserved; "
            "check the labels and the order of the classes"
        )
    return CleanSet(clean.images[right], clean.labels[right])


def minibatches(count: int, batch: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield rows [min(batch, count)] of `steps` full batches of `count` images.

    The images are shuffled anew as soon as those left do not fill a batch.

    >>> rows = list(minibatches(5, 2, 3, torch.Generator().manual_seed(0)))
    >>> [len(r) for r in rows], len(torch.cat(rows[:2]).unique())
    ([2, 2, 2], 4)
    """
    size = min(batch, count)
    left = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(left) < size:
            left = torch.randperm(count, generator=generator)
        yield left[:size]
        left = left[size:]


def descend(
    student: Classifier,
    count: int,
    gradients: Callable[[Tensor], Tensor],
    descent: Descent,
    generator: torch.Generator,
    stage: str,
    progress: Progress,
) -> None:
    """Train `student` in place on batches of `count` images.

    Parameters
    ----------
    gradients
        Given the rows of a batch, leaves the gradients at the weights and returns the loss.

    Raises
    ------
    UndoorError
        The loss is not finite.
    """
    weights = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(
        weights, descent.rate, descent.momentum, weight_decay=descent.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, descent.steps)
    batches = minibatches(count, descent.batch, descent.steps, generator)
    for step, rows in enumerate(batches, 1):
        optimizer.zero_grad()
        require_finite(gradients(rows), stage)
        optimizer.step()
        schedule.step()
        progress(stage, step, descent.steps)


def require_finite(loss: Tensor, stage: str) -> None:
    """Refuse a loss that is no finite number.

    Raises
    ------
    UndoorError
        The loss is NaN or infinite.
    """
    if not math.isfinite(float(loss.detach())):
        raise UndoorError(f"the loss became {float(loss.detach())} in {stage}; use a lower rate")


@contextmanager
def statistics_kept(student: Classifier) -> Iterator[None]:
    """Let batch norms use a batch's statistics but leave their running ones alone."""
    before = [(norm, norm.track_running_stats) for norm in norms(student)]
    for norm, _ in before:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, tracks in before:
            norm.track_running_stats = tracks


def hold_out(
    clean: CleanSet, share: float, generator: torch.Generator
) -> tuple[CleanSet, CleanSet]:
    """Return the set in two parts, the second with `share` of the images.

    As far as whole images allow, it has that share of every class.

    Raises
    ------
    UndoorError
        One of the parts would be empty.

    Examples
    --------
    >>> clean = CleanSet(torch.zeros(10, 1, 2, 2), torch.tensor([0] * 6 + [1] * 4))
    >>> kept, held = hold_out(clean, 0.5, torch.Generator().manual_seed(0))
    >>> kept.labels.bincount().tolist(), held.labels.bincount().tolist()
    ([3, 2], [3, 2])
    """
    order = torch.randperm(len(clean), generator=generator)
    order = order[torch.argsort(clean.labels[order], stable=True)]
    # Class after class, an image is held out whenever the share so far is one more.
    due = torch.floor(torch.arange(1, len(clean) + 1, dtype=torch.float64) * share + 1e-9)
    held = torch.diff(due, prepend=torch.zeros(1, dtype=torch.float64)) > 0
    if bool(held.all()) or not bool(held.any()):
        raise UndoorError(
            f"{len(clean)} clean images cannot be divided so that {share:.0%} are held out; "
            "give more images or another share"
        )
    return _part(clean, order[~held]), _part(clean, order[held])


def _part(clean: CleanSet, rows: Tensor) -> CleanSet:
    return replace(clean, images=clean.images[rows], labels=clean.labels[rows])
