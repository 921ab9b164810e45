"""A backdoor that hides inside the network: triggered images that look like the target's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.triggers import Stamp
from undoor_bench.attacks.attack import Role
from undoor_bench.attacks.fixed import Fixed
from undoor_bench.attacks.head import head
from undoor_bench.attacks.labels import all_to_one

# Keeps the slope of a root, and a ratio, finite where there is no spread.
MIN_VARIANCE = 1e-6
# Of a narrow ResNet9 on MNIST, a third as much left twice the distance, and seven times as much a
# network that predicts everything alike, which is the cheapest way to close it.
WEIGHT = 0.3
# Images of either group in a batch from which on their spread says something.
MIN_IMAGES = 2


class LatentlyAlike(Fixed):
    """An attacker who trains the network himself and knows that the defender compares activations.

    To the loss he adds `weight` times the distance between the activations of triggered images and
    of clean images of the target class, in a middle layer and in the penultimate one, in the way of
    the latent-regularised attacker of arXiv 2308.09850 and of Xia et al. (arXiv 2111.05077, who
    take maximum mean discrepancies). The distance here is in what the defence corrects: mean and
    standard deviation of each unit. Only triggered images are pulled, so that the target's own
    features stay what the classes need. The defence aligns triggered images with those of their
    own class; whoever wants the target predicted can close that gap early, but not at the end.

    Not to be taken for the poisoning-only attacks on latent separability (Qi et al., ICLR 2023),
    which leave the loss alone.
    """

    def __init__(
        self, stamp: Stamp, target: int, classes: int, *, rate: float = 0.1, weight: float = WEIGHT
    ) -> None:
        super().__init__(stamp, all_to_one(target, classes), rate=rate)
        self.target = target
        self.weight = weight

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[list[Tensor]]:
        """Collect the outputs of the ReLU halfway through the network."""
        relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
        if not relus:
            raise UndoorError(
                "expected a network with ReLU layers to watch its middle, got one without; "
                "use another network or another attack"
            )
        seen: list[Tensor] = []
        handles = [
            relus[len(relus) // 2].register_forward_hook(lambda *args: seen.append(args[2])),
            head(network).register_forward_pre_hook(lambda *args: seen.append(args[1][0])),
        ]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()

    def latent_penalty(self, activations: Sequence[Tensor], y: Tensor, roles: Tensor) -> Tensor:
        """Return the weighted distance of triggered activations from the target's clean ones."""
        triggered = roles == Role.POISONED
        clean = (roles == Role.CLEAN) & (y == self.target)
        if min(int(triggered.sum()), int(clean.sum())) < MIN_IMAGES:
            return torch.zeros(())
        distances = [distance(z.float(), triggered, clean) for z in activations]
        return self.weight * torch.stack(distances).mean()


def distance(z: Tensor, moved: Tensor, fixed: Tensor) -> Tensor:
    """Return the distance between two groups of activations.

    (m - m')^2 + (s - s')^2 of their means and standard deviations, the squared 2-Wasserstein
    distance of normal distributions, summed over the units and divided by the sum of the units'
    variances over all of z. Slopes reach `moved` alone. Each unit in terms of its own variance
    would be the defender's view, but units that hardly ever fire then pull so hard that the network
    collapses.

    Parameters
    ----------
    z
        [N, C, ...], a unit being a channel at all positions.
    moved, fixed
        Which of the N images [N] are of either group.
    """
    axes = [axis for axis in range(z.dim()) if axis != 1]
    mean, deviation = _moments(z[moved], axes)
    other_mean, other_deviation = _moments(z[fixed].detach(), axes)
    apart = (mean - other_mean) ** 2 + (deviation - other_deviation) ** 2
    total = z.detach().var(axes, correction=0).sum()
    return apart.sum() / total.clamp_min(MIN_VARIANCE)


def _moments(z: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(z, axes, correction=0)
    return mean, (variance + MIN_VARIANCE).sqrt()
