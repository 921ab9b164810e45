"""Poisoned images that keep their right label (Turner, Tsipras, Madry, arXiv 1912.02771)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.triggers import Stamp
from undoor_bench.attacks.fixed import Fixed
from undoor_bench.attacks.labels import all_to_one


class CleanLabel(Fixed):
    """Stamp images of the target class alone, and leave their labels.

    With a `surrogate`, a network trained on clean images, poisoned images are first perturbed
    against it within `strength` (projected gradient, maximum norm), so that the trigger is what
    there is to learn from them. Without one, as SIG does it (Barni et al., arXiv 1902.11237).
    """

    def __init__(
        self,
        stamp: Stamp,
        target: int,
        classes: int,
        *,
        rate: float,
        surrogate: nn.Module | None = None,
        strength: float = 16 / 255,
        steps: int = 10,
    ) -> None:
        super().__init__(stamp, all_to_one(target, classes), rate=rate)
        self.target = target
        self.surrogate = surrogate
        self.strength = strength
        self.steps = steps

    def prepared(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the stamped images, perturbed before where there is a surrogate."""
        return self.stamp(x if self.surrogate is None else self._perturbed(x, y))

    def may_poison(self, y: Tensor) -> Tensor:
        """Return which labels [N] may be poisoned: those of the target class alone."""
        return y == self.target

    def relabelled(self, y: Tensor) -> Tensor:
        """Return the labels as they are, since the attack changes none."""
        return y

    @torch.enable_grad()
    def _perturbed(self, x: Tensor, y: Tensor) -> Tensor:
        assert self.surrogate is not None
        step = 2.5 * self.strength / self.steps
        delta = torch.zeros_like(x)
        for _ in range(self.steps):
            delta.requires_grad_(True)
            loss = F.cross_entropy(self.surrogate((x + delta).clamp(0, 1)), y)
            (gradient,) = torch.autograd.grad(loss, delta)
            moved = delta.detach() + step * gradient.sign()
            delta = moved.clamp(-self.strength, self.strength)
        return (x + delta).clamp(0, 1)
