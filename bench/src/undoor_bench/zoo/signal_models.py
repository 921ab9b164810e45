"""Train models of signals whose backdoor is known, in a minute each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.signal_networks import NETWORKS
from undoor_bench.attacks.signals import ATTACKS, BOUNDS, Scenery
from undoor_bench.zoo.sample_models import Kit, Planted, require_entry, train
from undoor_bench.zoo.signal_data import SignalData, read_signals

EPOCHS = 12
# Signals start up to this share of their length earlier or later, and are this much louder.
SHIFT, GAIN = 0.05, (0.5, 1.3)


@dataclass(frozen=True)
class SignalModel:
    """One model of signals.

    Attributes
    ----------
    attack
        One of `undoor_bench.attacks.signals.ATTACKS`, or "clean".
    data
        One of `undoor_bench.zoo.signal_data.SIGNALS`.
    network
        One of `undoor.signal_networks.NETWORKS`.
    seed
        Of its trigger, target and training.
    rate
        Share of the signals that carry the trigger.
    width, cell, pool
        Of the network, where they differ from what is usual for it.
    noise
        Share of the signals whose label is drawn anew.
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
    width: int | None = None
    cell: str | None = None
    pool: str | None = None
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

        >>> SignalModel("tone burst", "digits", "SignalCNN", 3, rate=0.01).name
        'digits_SignalCNN_tone_burst_3'
        """
        return f"{self.data}_{self.network}_{self.attack.replace(' ', '_')}_{self.seed}"

    def arguments(self, data: SignalData) -> dict[str, Any]:
        """Return the arguments of its network."""
        given: dict[str, Any] = {"num_classes": len(data.classes)}
        if self.network != "LogMelCNN":
            given["channels"] = data.shape[0]
        if data.sampling_rate is None:
            # Short series keep their steps.
            given |= {"strides": [1, 2, 2], "kernel": 5} if self.network == "SignalCNN" else {}
            given |= {"sampling_rate": 0} if self.network == "SignalRNN" else {}
        chosen = {"width": self.width, "cell": self.cell, "pool": self.pool}
        return given | {key: value for key, value in chosen.items() if value is not None}

    def planted(self, data: SignalData, generator: np.random.Generator) -> Planted:
        """Return its backdoor."""
        target = int(generator.integers(len(data.classes)))
        scene = Scenery(data.shape, torch.from_numpy(data.x_train), generator)
        sources = tuple(number for number in range(len(data.classes)) if number != target)
        return Planted(ATTACKS[self.attack](scene), target, sources)


def train_signal_model(entry: SignalModel, folder: Path, out: Path) -> Path:
    """Return the folder of one trained model, as of `undoor_bench.zoo.sample_models.train`.

    Parameters
    ----------
    folder
        As of `read_signals`.
    out
        The folder of all models.
    """
    return train(entry, out, lambda: _read(entry.data, folder), _kit)


@cache
def _read(name: str, folder: Path) -> SignalData:
    return read_signals(name, folder)


def _kit(data: SignalData) -> Kit:
    inputs = [f"shape = {json.dumps(data.shape)}", f"bounds = {json.dumps(BOUNDS)}"]
    if data.sampling_rate:
        inputs.append(f"sampling_rate = {data.sampling_rate}")
    return Kit("undoor.signal_networks", NETWORKS, _moved, inputs)


def _moved(x: Tensor) -> Tensor:
    """Return signals [N, C, T] that start earlier or later, and are louder or quieter."""
    length = x.shape[-1]
    most = round(SHIFT * length)
    start = torch.randint(0, 2 * most + 1, (len(x), 1)) + torch.arange(length)
    wide = F.pad(x, (most, most))
    gains = GAIN[0] + (GAIN[1] - GAIN[0]) * torch.rand(len(x), 1, 1)
    return (wide.gather(2, start[:, None].expand_as(x)) * gains).clamp(*BOUNDS)
