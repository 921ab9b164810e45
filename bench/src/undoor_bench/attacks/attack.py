"""The form of an attack: how training images are poisoned and test images triggered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum
from typing import final

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor_bench.attacks.labels import LabelMap


class Role(IntEnum):
    """What the attack does to a training image.

    Left alone, triggered and relabelled, or covered, which is to say changed in a way that hides
    the trigger, with its own label.
    """

    CLEAN = 0
    POISONED = 1
    COVER = 2


class Attack(ABC):
    """An attacker who may change training images and labels, in [0, 1], channels first.

    A new attack writes `apply_to`, `cover`, `state` and `put`. One that poisons other images than
    those of the sources, covers only some, or keeps labels, says so in the methods below them; one
    that learns its trigger beside the network gives `trigger_parameters` and `penalty`; one that
    shapes the network's inside as it is trained gives `watching` and `latent_penalty`.

    Parameters
    ----------
    labels
        Where triggered images of each source class are to go.
    rate
        Share of the training images that are poisoned, at most of those of the sources.
    cover_rate
        Share of the training images that are covered.

    Raises
    ------
    UndoorError
        No sources, a class that is to go to itself, or shares outside [0, 1].
    """

    def __init__(self, labels: LabelMap, *, rate: float, cover_rate: float = 0.0) -> None:
        if not labels or any(source == target for source, target in labels.items()):
            raise UndoorError(f"expected source classes with other classes to go to, got {labels}")
        if not (0 <= rate <= 1 and 0 <= cover_rate <= 1):
            raise UndoorError(f"expected shares between 0 and 1, got {rate} and {cover_rate}")
        self.labels = dict(labels)
        self.rate = rate
        self.cover_rate = cover_rate

    @final
    def roles(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """Return the `Role` of every training image [N] with labels y [N].

        Drawn once for a training.
        """
        roles = torch.full_like(y, Role.CLEAN)
        for role, share, allowed in (
            (Role.POISONED, self.rate, self.may_poison(y)),
            (Role.COVER, self.cover_rate, self.may_cover(y)),
        ):
            rows = (allowed & (roles == Role.CLEAN)).nonzero()[:, 0]
            drawn = rows[torch.randperm(len(rows), generator=generator)]
            roles[drawn[: round(share * len(y))]] = role
        return roles

    @final
    def poison(self, x: Tensor, y: Tensor, roles: Tensor) -> tuple[Tensor, Tensor]:
        """Return a training batch as the attacker wants it: copies of x [N, C, H, W] and y [N]."""
        x, y = x.clone(), y.clone()
        poisoned, covered = roles == Role.POISONED, roles == Role.COVER
        if bool(poisoned.any()):
            x[poisoned] = self.prepared(x[poisoned], y[poisoned]).clamp(0, 1)
            y[poisoned] = self.relabelled(y[poisoned])
        if bool(covered.any()):
            x[covered] = self.cover(x[covered]).clamp(0, 1)
        return x, y

    @final
    def trigger(self, x: Tensor) -> Tensor:
        """Return triggered copies of images [N, C, H, W], as at test time."""
        return self.apply_to(x).clamp(0, 1)

    @final
    def of_sources(self, y: Tensor) -> Tensor:
        """Return which labels y [N] are those of source classes."""
        return torch.isin(y, torch.tensor(list(self.labels)))

    @final
    def wanted(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of source classes in y [N], and the predictions wanted for them."""
        rows = self.of_sources(y).nonzero()[:, 0]
        return rows, self._mapped(y[rows])

    @final
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over the trigger of an attack of the same kind from its stored `state`.

        Raises
        ------
        UndoorError
            Tensors of other names or shapes than this attack's own.
        """
        expected, given = ({k: tuple(v.shape) for k, v in s.items()} for s in (self.state(), state))
        if expected != given:
            raise UndoorError(
                f"expected the state of such an attack, {expected}, got {given}; "
                "restore an attack of the same kind, for images of the same shape"
            )
        self.put({key: value.detach().clone() for key, value in state.items()})

    @abstractmethod
    def apply_to(self, x: Tensor) -> Tensor:
        """Return the triggered images; `trigger` clips them."""

    @abstractmethod
    def cover(self, x: Tensor) -> Tensor:
        """Return images that keep their label; they are clipped as well."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Return the tensors that determine the triggered images, for storage."""

    @abstractmethod
    def put(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned.

        `restore` has checked names and shapes, and has made copies of the tensors.
        """

    def prepared(self, x: Tensor, y: Tensor) -> Tensor:
        """Return poisoned training images of classes y [N]; here they look as at test time."""
        return self.apply_to(x)

    def may_poison(self, y: Tensor) -> Tensor:
        """Return which training images [N] can be poisoned: those of the source classes."""
        return self.of_sources(y)

    def may_cover(self, y: Tensor) -> Tensor:
        """Return which training images [N] can be covered: any."""
        return torch.ones_like(y, dtype=torch.bool)

    def relabelled(self, y: Tensor) -> Tensor:
        """Return the labels [N] that poisoned images of classes y [N] train with."""
        return self._mapped(y)

    def trigger_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that an attack with a learned trigger optimises; here none."""
        return []

    def penalty(self, x: Tensor) -> Tensor:
        """Return the term that a learned trigger adds to the loss of a batch x [N, C, H, W]."""
        return torch.zeros(())

    def watching(self, network: nn.Module) -> AbstractContextManager[list[Tensor]]:
        """Collect activations of the network in a list while the context is open; here none.

        Each pass adds those that `latent_penalty` wants. The caller clears the list.
        """
        return nullcontext([])

    def latent_penalty(self, activations: Sequence[Tensor], y: Tensor, roles: Tensor) -> Tensor:
        """Return the term that an attack on activations adds to the loss of a batch.

        Parameters
        ----------
        activations
            Of the poisoned images, [N, ...] each.
        y, roles
            Their own labels and their roles in this attack [N].
        """
        return torch.zeros(())

    def _mapped(self, y: Tensor) -> Tensor:
        return torch.tensor([self.labels[int(label)] for label in y], dtype=y.dtype)
