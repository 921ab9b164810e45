"""Neural attention distillation (NAD): a fine-tuned copy teaches where to look.

Li et al., Neural Attention Distillation: Erasing Backdoor Triggers from Deep Neural Networks (ICLR
2021, arXiv 2101.05930). The teacher is a copy fine-tuned on the clean images. The student, another
copy, is trained so that its attention maps follow the teacher's at the end of each group of layers
(their A_sum^2: squared activations, summed over the channels):

    L = cross entropy + sum_l beta_l | A_l / |A_l| - A_l' / |A_l'| |^2, as a mean over positions.

Groups end where a map's size changes: of all modules that deliver maps of one size, the last one is
watched, which is the output of a residual stage in the usual networks. The betas are
BackdoorBench's, 500 for the largest map and 1,000 for all others; the paper's smallest map has 64
positions, and no smaller one weighs more for having fewer. Batches of 64, a first rate of 0.1 and a
weight decay of 1e-4 are the authors', made for a network of 0.2 million weights with batch norms;
without batch norms that rate kills a network, and 0.01 is taken. Theirs are 10 epochs of 2,500
images with a rate divided by ten every second one, ours are as many steps (400) along a cosine. Not
kept: cropped, mirrored and partly covered images (see `common`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor.sites import calls_of
from undoor_bench.rivals.common import Descent, descend, finished, logits, loss_on, norms, tunable
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.watch import watched

STAGE = "attention distillation"
# Positions of the paper's smallest map, 8 x 8.
SMALLEST = 64
RATE = 0.1
RATE_WITHOUT_NORMS = 0.01


def _descent(rate: float = RATE) -> Descent:
    return Descent(rate=rate, weight_decay=1e-4)


@dataclass(frozen=True)
class NAD:
    """Settings of NAD.

    `first_beta` is the weight of the attention at the largest map, `beta` at each of the others.
    """

    first_beta: float = 500.0
    beta: float = 1000.0
    teacher: Descent = field(default_factory=_descent)
    student: Descent = field(default_factory=_descent)

    @classmethod
    def for_network(cls, classifier: Classifier) -> NAD:
        """Return the defaults, with the rate that a network with or without batch norms bears."""
        descent = _descent(RATE if norms(classifier) else RATE_WITHOUT_NORMS)
        return cls(teacher=descent, student=descent)


def nad(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: NAD | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` trained on `clean` beside a fine-tuned teacher.

    `report` is not read.

    Raises
    ------
    UndoorError
        The network has no maps with positions, fewer than two images, or training diverges.
    """
    settings = settings or NAD.for_network(classifier)
    names = attention_layers(classifier)
    taught = settings.teacher
    teacher = fine_tuning(classifier, clean, report, generator, settings=taught, progress=progress)
    student = tunable(classifier, clean)
    betas = [settings.first_beta] + [settings.beta] * (len(names) - 1)
    with watched(teacher, names) as shown, watched(student, names) as seen:

        def gradients(rows: Tensor) -> Tensor:
            with torch.no_grad():
                logits(teacher, clean.images[rows])
            loss = loss_on(student, clean, rows)
            pairs = zip(names, betas, strict=True)
            loss = loss + sum(beta * distance(seen[name], shown[name]) for name, beta in pairs)
            loss.backward()
            return loss

        descend(student, len(clean), gradients, settings.student, generator, STAGE, progress)
    return finished(student)


def attention(z: Tensor) -> Tensor:
    """Return normalised attention maps [N, positions] of activations [N, C, positions...].

    >>> attention(torch.tensor([[[[3.0, 0.0]], [[0.0, 2.0]]]]).sqrt())
    tensor([[0.8321, 0.5547]])
    """
    return F.normalize(z.float().pow(2).sum(1).flatten(1), dim=1)


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean squared distance of two attention maps.

    The mean is over the N activations and over the positions, of which at least 64 are counted.
    """
    squares = (attention(one) - attention(other)).square()
    return squares.sum(1).mean() / max(squares.shape[1], SMALLEST)


def attention_layers(classifier: Classifier) -> tuple[str, ...]:
    """Return where attention is compared: the last module of every map size, the earliest first.

    Raises
    ------
    UndoorError
        No module inside delivers maps [N, C, ...] of more than one position.
    """
    calls = calls_of(classifier, (nn.Module,))
    once = [name for name, _ in calls]
    last: dict[tuple[int, ...], str] = {}
    for name, shape in calls:
        if len(shape) > 1 and math.prod(shape[1:]) > 1 and once.count(name) == 1:
            last[shape[1:]] = name
    if not last:
        raise UndoorError(
            "attention distillation compares maps, but the network has none; use fine_tuning"
        )
    return tuple(last.values())
