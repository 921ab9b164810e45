"""Adversarial neuron pruning (ANP): prune what breaks the network when it is disturbed.

Wu and Wang, Adversarial Neuron Pruning Purifies Backdoored Deep Models (NeurIPS 2021, arXiv
2110.14430). Each neuron's weights get a mask m in [0, 1]; weights and biases are disturbed by
relative amounts d and x of at most eps, so as to raise the loss on clean images, and the masks
minimise

    a L(m w, b) + (1 - a) max over d, x in [-eps, eps] of L((m + d) w, (1 + x) b).

Masks of neurons that a backdoor hangs on fall; neurons whose mask is below a threshold are pruned,
which sets their weights to 0 and keeps their bias. A neuron is a channel of a batch norm or, where
the network has none, of a convolution or hidden linear layer: the paper's own definition, of which
batch norms are the shortcut.

The paper chooses the threshold by hand, benchmarks by the success of the attack, which no defender
knows. Here it is the highest before which accuracy on held-out clean images, which the masks have
not seen, has fallen by no more than `allowed_drop`. eps, a, rate and momentum are the paper's.
Adapted: 400 steps of 64 images instead of 2,000 of 128; batch norms keep their running statistics
throughout, since what is pruned is the network that will run, and small batches would blur it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor.sites import attach, find_sites
from undoor_bench.rivals.channels import bias_of, silence
from undoor_bench.rivals.common import (
    accuracy,
    finished,
    hold_out,
    loss_on,
    minibatches,
    require_finite,
)

Masks = dict[str, Tensor]
STAGE = "learning neuron masks"
# Thresholds are multiples of 1 / GRID, below 1.
GRID = 20


@dataclass(frozen=True)
class ANP:
    """Settings of ANP.

    Attributes
    ----------
    noise
        eps, the largest relative disturbance.
    natural
        a, the weight of the undisturbed loss.
    rate, momentum
        Of SGD on the masks.
    held_out
        The share of the images that chooses the threshold.
    allowed_drop
        Of accuracy on them. 0.05 is one image of 20, the smallest drop that 100 clean images can
        show, and half of what the public benchmark lets ANP lose.
    """

    noise: float = 0.4
    natural: float = 0.2
    steps: int = 400
    batch: int = 64
    rate: float = 0.2
    momentum: float = 0.9
    held_out: float = 0.3
    allowed_drop: float = 0.05


def anp(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: ANP | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` with its sensitive neurons pruned; `report` is not read.

    Raises
    ------
    UndoorError
        The network has no hidden neurons, or too few images to hold some out.
    """
    settings = settings or ANP()
    learning, held = hold_out(clean, settings.held_out, generator)
    masks = learn_masks(classifier, learning, generator, settings, progress)
    floor = accuracy(classifier, held) - settings.allowed_drop
    best_so_far = pruned(classifier, masks, 0.0)
    for step in range(1, GRID):
        candidate = pruned(classifier, masks, step / GRID)
        if accuracy(candidate, held) < floor:
            break
        best_so_far = candidate
    return best_so_far


def learn_masks(
    classifier: Classifier,
    clean: CleanSet,
    generator: torch.Generator,
    settings: ANP,
    progress: Progress = silent,
) -> Masks:
    """Return the mask [C] of every neuron, by the name of its layer.

    Raises
    ------
    UndoorError
        The network has no hidden neurons, or the loss is not finite.
    """
    base = classifier.fast_copy()
    neurons = _neurons(base)
    masked = attach(base, neurons)
    optimizer = torch.optim.SGD(
        [layer.mask for layer in neurons.values()], settings.rate, settings.momentum
    )
    batches = minibatches(len(clean), settings.batch, settings.steps, generator)
    for step, rows in enumerate(batches, 1):
        _disturb(masked, neurons, clean, rows, settings.noise, generator)
        optimizer.zero_grad()
        robust = loss_on(masked, clean, rows)
        _rest(neurons)
        natural = loss_on(masked, clean, rows)
        loss = settings.natural * natural + (1 - settings.natural) * robust
        require_finite(loss, STAGE)
        loss.backward()
        optimizer.step()
        for layer in neurons.values():
            layer.mask.data.clamp_(0, 1)
        progress(STAGE, step, settings.steps)
    return {name: layer.mask.detach().clone() for name, layer in neurons.items()}


def pruned(classifier: Classifier, masks: Mapping[str, Tensor], threshold: float) -> Classifier:
    """Return a copy without the neurons whose mask is below `threshold`."""
    changed = classifier.fast_copy()
    for name, mask in masks.items():
        silence(changed.get_submodule(name), mask < threshold, bias=False)
    return finished(changed)


class _Neurons(nn.Module):
    """Behind a layer that gives w x + b: (m + d) w x + (1 + x) b, channel by channel."""

    bias: Tensor

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("bias", bias)
        self.mask = nn.Parameter(torch.ones_like(bias))
        self.weight_noise = torch.zeros_like(bias)
        self.bias_noise = torch.zeros_like(bias)

    def forward(self, z: Tensor) -> Tensor:
        shape = (-1, *[1] * (z.dim() - 2))
        bias = self.bias.view(shape)
        scale = (self.mask + self.weight_noise).view(shape)
        return (z - bias) * scale + bias * (1 + self.bias_noise).view(shape)


def _neurons(base: Classifier) -> dict[str, _Neurons]:
    names = [site.name for site in find_sites(base)[1:]]
    if not names:
        raise UndoorError(
            "neuron pruning needs a hidden layer that runs once in a pass, the network has none; "
            "use fine_tuning"
        )
    return {name: _Neurons(bias_of(base.get_submodule(name))) for name in names}


def _disturb(
    masked: Classifier,
    neurons: Mapping[str, _Neurons],
    clean: CleanSet,
    rows: Tensor,
    size: float,
    generator: torch.Generator,
) -> None:
    """From noise drawn within [-size, size], one step of sign ascent of that length.

    Without the draw, a neuron behind whose output a ReLU is shut would never be disturbed.
    """
    for layer in neurons.values():
        for name in ("weight_noise", "bias_noise"):
            drawn = size * (2 * torch.rand(layer.bias.shape, generator=generator) - 1)
            setattr(layer, name, drawn.requires_grad_(True))
    noises = [noise for n in neurons.values() for noise in (n.weight_noise, n.bias_noise)]
    gradients = torch.autograd.grad(loss_on(masked, clean, rows), noises)
    for noise, gradient in zip(noises, gradients, strict=True):
        noise.requires_grad_(False).add_(size * gradient.sign()).clamp_(-size, size)


def _rest(neurons: Mapping[str, _Neurons]) -> None:
    for layer in neurons.values():
        # New tensors: the graph of the disturbed pass still needs the old ones.
        layer.weight_noise = torch.zeros_like(layer.bias)
        layer.bias_noise = torch.zeros_like(layer.bias)
