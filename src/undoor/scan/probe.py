"""Which waves push inputs to which class: starts for frequency triggers, whatever the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.scan.fast import fast_bfloat16
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
def pile_ups(classifier: Classifier, x: Tensor, y: Tensor, probes: Sequence[Stamp]) -> Tensor:
    """[probes, K]: the share of the inputs x [N, ...] of other classes that each moves there."""
    out = []
    for probe in probes:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
            answers = classifier(probe(x)).argmax(1)
        moved = torch.zeros(classifier.num_classes)
        for target in answers.unique().tolist():
            others = y != target
            moved[target] = (answers[others] == target).float().mean() if others.any() else 0.0
        out.append(moved)
    return torch.stack(out)
