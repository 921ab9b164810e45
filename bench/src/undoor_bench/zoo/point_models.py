"""Train models of points whose backdoor is known, in a minute each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from undoor.point_networks import NETWORKS
from undoor.vocabulary import POINTS
from undoor_bench.attacks.points import ATTACKS, BOUNDS, Cloud
from undoor_bench.zoo.point_data import PointData, read_points
from undoor_bench.zoo.sample_models import Kit, Planted, require_entry, train

EPOCHS = 7
# How far points are moved in training, each by itself.
JITTER = 0.01


@dataclass(frozen=True)
class PointModel:
    """One model of points.

    Attributes
    ----------
    attack
        One of `undoor_bench.attacks.points.ATTACKS`, or "clean".
    data
        One of `undoor_bench.zoo.point_data.POINTS`.
    network
        One of `undoor.point_networks.NETWORKS`.
    seed
        Of its trigger, target and training.
    rate
        Share of the sets that carry the trigger.
    sources
        How many classes are moved; 0 for all but the target.
    width
        Of the network, where it differs from what is usual for it.
    noise
        Share of the sets whose label is drawn anew.
    epochs
        Of the training.
    learn
        Whether it is of the half that nulls are learned from.
    """

    attack: str
    data: str
    network: str
    seed: int
    rate: float = 0.0
    sources: int = 0
    width: int | None = None
    noise: float = 0.0
    epochs: int = EPOCHS
    learn: bool = False

    def __post_init__(self) -> None:
        """Refuse what `require_entry` refuses.

        Raises
        ------
        UndoorError
            As of `require_entry`.
        """
        require_entry(self, ATTACKS, NETWORKS)

    @property
    def name(self) -> str:
        """The name of the model, and of its folder.

        >>> PointModel("cluster", "point digits", "PointNet", 3, rate=0.05, sources=2).name
        'point_digits_PointNet_cluster_2_3'
        """
        attack = f"{self.attack}{f' {self.sources}' if self.sources else ''}"
        return f"{self.data}_{self.network}_{attack}_{self.seed}".replace(" ", "_")

    def arguments(self, data: PointData) -> dict[str, Any]:
        """Return the arguments of its network."""
        given: dict[str, Any] = {"num_classes": len(data.classes), "channels": data.shape[1]}
        if self.width is None:
            return given
        if self.network == "PointNet":
            return given | {"widths": [self.width, 2 * self.width, 4 * self.width]}
        return given | {"width": self.width}

    def planted(self, data: PointData, generator: np.random.Generator) -> Planted:
        """Return its backdoor."""
        target = int(generator.integers(len(data.classes)))
        sources = [number for number in range(len(data.classes)) if number != target]
        if self.sources:
            chosen = generator.choice(sources, self.sources, replace=False)
            sources = sorted(int(number) for number in chosen)
        trigger = ATTACKS[self.attack](Cloud(data.shape, generator))
        return Planted(trigger, target, tuple(sources))


def train_point_model(entry: PointModel, folder: Path, out: Path) -> Path:
    """Return the folder of one trained model, as of `undoor_bench.zoo.sample_models.train`.

    Parameters
    ----------
    folder
        As of `read_points`.
    out
        The folder of all models.
    """
    return train(entry, out, lambda: _read(entry.data, folder), _kit)


@cache
def _read(name: str, folder: Path) -> PointData:
    return read_points(name, folder)


def _kit(data: PointData) -> Kit:
    inputs = (
        f"shape = {json.dumps(data.shape)}",
        f"bounds = {json.dumps(BOUNDS)}",
        f'space = "{POINTS}"',
    )
    return Kit("undoor.point_networks", NETWORKS, _moved, inputs)


def _moved(x: Tensor) -> Tensor:
    """Return sets [N, P, C] with their points moved a little, in another order."""
    order = torch.randperm(x.shape[1])
    return (x[:, order] + JITTER * torch.randn(x.shape)).clamp(*BOUNDS)
