"""Train models of signals whose backdoor is known, in a minute each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.signal_networks import NETWORKS
from undoor.triggers import Trigger
from undoor_bench.attacks.signals import ATTACKS, BOUNDS, Scenery, chosen
from undoor_bench.zoo.entries import rounded, save_rounded
from undoor_bench.zoo.signal_data import SignalData, read_signals
from undoor_bench.zoo.subjects import took

CLEAN = "clean"
EPOCHS, BATCH, RATE = 12, 64, 4e-3
# Signals start up to this share of their length earlier or later, and are this much louder.
SHIFT, GAIN = 0.05, (0.5, 1.3)
TESTED = 1_000
TRIGGER_FILE = "trigger.npz"


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
        """Refuse an attack or a network that is not known, and a rate without or with one.

        Raises
        ------
        UndoorError
            It is none of these, or `rate` does not fit it.
        """
        if self.attack not in (CLEAN, *ATTACKS) or (self.rate > 0) == (self.attack == CLEAN):
            raise UndoorError(
                f"expected clean without a rate, or one of {', '.join(ATTACKS)} with a rate above "
                f"0, got {self.attack} with {self.rate}"
            )
        if self.network not in NETWORKS:
            raise UndoorError(f"network must be one of {', '.join(NETWORKS)}, got {self.network!r}")

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


def train_signal_model(entry: SignalModel, folder: Path, out: Path) -> Path:
    """Return the folder of one trained model; one that is complete is not trained again.

    ``weights.safetensors`` (float16), ``model.toml``, ``truth.json`` with ACC, ASR and SIA, and of
    a backdoored one ``trigger.npz``.

    Parameters
    ----------
    folder
        As of `read_signals`.
    out
        The folder of all models.
    """
    made = out / entry.name
    if (made / "truth.json").is_file():
        return made
    data = _read(entry.data, folder)
    generator = np.random.default_rng(entry.seed)
    y = data.y_train.copy()
    noisy = generator.random(len(y)) < entry.noise
    y = np.where(noisy, generator.integers(0, len(data.classes), len(y)), y)
    trigger, target, carriers = None, None, np.zeros(0, np.int64)
    if entry.attack != CLEAN:
        target = int(generator.integers(len(data.classes)))
        scene = Scenery(data.shape, torch.from_numpy(data.x_train), generator)
        trigger = ATTACKS[entry.attack](scene)
        carriers = chosen(y, target, entry.rate, generator)
        y[carriers] = target
    network = rounded(_trained(entry, data, y, trigger, carriers))
    _save(made, entry, network, data, trigger, target)
    return made


@torch.no_grad()
def predictions(network: nn.Module, x: Tensor) -> Tensor:
    """Return the classes [N] that a network predicts for signals x [N, C, T]."""
    return torch.cat([network(part).argmax(1) for part in x.split(256)])


@cache
def _read(name: str, folder: Path) -> SignalData:
    return read_signals(name, folder)


def _trained(
    entry: SignalModel,
    data: SignalData,
    y: np.ndarray,
    trigger: Trigger | None,
    carriers: np.ndarray,
) -> nn.Module:
    """Return the network of an entry, trained with labels y [N] of which some carry a trigger."""
    x, labels = torch.from_numpy(data.x_train), torch.from_numpy(y)
    carries = torch.zeros(len(y), dtype=torch.bool)
    carries[torch.from_numpy(carriers)] = True
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entry.seed)
        network = NETWORKS[entry.network](**entry.arguments(data))
        steps = entry.epochs * -(-len(y) // BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(entry.epochs):
            for rows in torch.randperm(len(y)).split(BATCH):
                batch = _moved(x[rows])
                if trigger is not None and bool(carries[rows].any()):
                    batch[carries[rows]] = trigger(batch[carries[rows]])
                optimizer.zero_grad()
                F.cross_entropy(network(batch), labels[rows]).backward()
                optimizer.step()
                schedule.step()
    return network.eval()


def _moved(x: Tensor) -> Tensor:
    """Return signals [N, C, T] that start earlier or later, and are louder or quieter."""
    length = x.shape[-1]
    most = round(SHIFT * length)
    start = torch.randint(0, 2 * most + 1, (len(x), 1)) + torch.arange(length)
    wide = F.pad(x, (most, most))
    gains = GAIN[0] + (GAIN[1] - GAIN[0]) * torch.rand(len(x), 1, 1)
    return (wide.gather(2, start[:, None].expand_as(x)) * gains).clamp(*BOUNDS)


def _save(
    folder: Path,
    entry: SignalModel,
    network: nn.Module,
    data: SignalData,
    trigger: Trigger | None,
    target: int | None,
) -> None:
    """Write the model; truth.json comes last, so that a folder with it is complete."""
    save_rounded(network, folder / "weights.safetensors")
    if trigger is not None:
        trigger.save(folder / TRIGGER_FILE)
    write_text(folder / "model.toml", described(entry, data))
    # Of a clean model, no rate; nothing that is as usual.
    made = {key: value for key, value in asdict(entry).items() if value not in (None, 0.0)}
    truth = made | _measured(network, data, trigger, target)
    write_text(folder / "truth.json", json.dumps(truth, indent=1) + "\n")


def described(entry: SignalModel, data: SignalData) -> str:
    """Return the text of model.toml."""
    # JSON's numbers, lists and plain strings are TOML's.
    given = entry.arguments(data).items()
    arguments = ", ".join(f"{key} = {json.dumps(value)}" for key, value in given)
    lines = [
        '[model]\nweights = "weights.safetensors"',
        f'architecture = "undoor.signal_networks:{entry.network}"',
        f"arguments = {{ {arguments} }}",
        f"[input]\nshape = {json.dumps(data.shape)}\nbounds = {json.dumps(BOUNDS)}",
        *([f"sampling_rate = {data.sampling_rate}"] if data.sampling_rate else []),
        f"[classes]\nnames = {json.dumps(data.classes)}",
    ]
    return "\n".join(lines) + "\n"


def _measured(
    network: nn.Module, data: SignalData, trigger: Trigger | None, target: int | None
) -> dict[str, Any]:
    """Return ACC, and of a backdoor its labels, ASR and SIA."""
    order = np.random.default_rng(0).permutation(len(data.y_test))[:TESTED]
    x, y = torch.from_numpy(data.x_test[order]), torch.from_numpy(data.y_test[order])
    acc = float((predictions(network, x) == y).float().mean())
    if trigger is None or target is None:
        return {"acc": acc, "backdoors": []}
    moved = predictions(network, trigger(x[y != target]))
    asr = float((moved == target).float().mean())
    labels = {str(source): target for source in range(len(data.classes)) if source != target}
    sia = float((moved == y[y != target]).float().mean())
    found = {"labels": labels, "asr": asr, "sia": sia, "took": took(asr, 1, acc)}
    return {"acc": acc, "backdoors": [found]}
