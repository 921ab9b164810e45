"""Which waves push inputs to which class: starts for frequency triggers, whatever the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.inversion.hardware import fast_bfloat16
from undoor.triggers import Stamp

# Waves an image along either side, and the amplitude of a probe in units of the bounds' width: of
# the strength that sinusoidal triggers have (20 / 255 in arXiv 1902.11237).
HIGHEST = 8
AMPLITUDE = 0.08
IMAGES = 10


def waves(shape: tuple[int, ...], bounds: tuple[float, float]) -> list[Stamp]:
    """Sinusoids of all directions, of two phases each, the same on all channels."""
    _, height, width = shape
    down, right = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    out = []
    for rows in range(-HIGHEST, HIGHEST + 1):
        for columns in range(HIGHEST + 1):
            if columns == 0 and rows <= 0:
                continue
            for phase in (0.0, math.pi / 2):
                wave = torch.sin(2 * math.pi * (columns * right + rows * down) + phase)
                pattern = (bounds[1] - bounds[0]) * AMPLITUDE * wave.expand(shape)
                mask = torch.zeros(1, height, width)
                out.append(Stamp("frequency", mask, pattern.contiguous(), "add", bounds))
    return out


@torch.no_grad()
def pulls(classifier: Classifier, x: Tensor, y: Tensor, probes: Sequence[Stamp]) -> Tensor:
    """[probes, K]: the mean probability of each class for the probed inputs x [N, ...] of others.

    Not the share of inputs that move: on a few inputs several probes would move them all.
    """
    others = F.one_hot(y, classifier.num_classes) == 0
    count = others.sum(0).clamp_min(1)
    out = []
    for probe in probes:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
            logits = classifier.logits(probe(x))
        out.append((logits.float().softmax(1) * others).sum(0) / count)
    return torch.stack(out)
