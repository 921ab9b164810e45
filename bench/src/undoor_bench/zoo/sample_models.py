"""What the makers of models of signals and points share: training, measuring and saving."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.triggers import Trigger
from undoor_bench.zoo.entries import rounded, save_rounded
from undoor_bench.zoo.subjects import took

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CLEAN = "clean"
BATCH, RATE = 64, 4e-3
TESTED = 1_000
TRIGGER_FILE = "trigger.npz"


class Entry(Protocol):
    """One model of a table."""

    @property
    def attack(self) -> str:
        """The name of the attack, or "clean"."""

    @property
    def network(self) -> str:
        """The name of the network."""

    @property
    def seed(self) -> int:
        """Of the trigger, target and training."""

    @property
    def rate(self) -> float:
        """Share of the samples that carry the trigger."""

    @property
    def noise(self) -> float:
        """Share of the samples whose label is drawn anew."""

    @property
    def epochs(self) -> int:
        """Of the training."""

    @property
    def name(self) -> str:
        """The name of the model, and of its folder."""

    def arguments(self, data: Any) -> dict[str, Any]:
        """Return the arguments of its network, for the samples."""

    def planted(self, data: Any, generator: np.random.Generator) -> Planted:
        """Return its backdoor, drawn by a generator."""


class Samples(Protocol):
    """Samples to train on and to test with."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def x_train(self) -> NDArray[np.float32]:
        """Samples [N, ...] to train on."""

    @property
    def y_train(self) -> NDArray[np.int64]:
        """Their labels [N]."""

    @property
    def x_test(self) -> NDArray[np.float32]:
        """Samples [N, ...] to test with."""

    @property
    def y_test(self) -> NDArray[np.int64]:
        """Their labels [N]."""


@dataclass(frozen=True, eq=False)
class Planted:
    """A backdoor to be planted.

    Attributes
    ----------
    sources
        The classes that are moved to the target.
    """

    trigger: Trigger
    target: int
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Kit:
    """How the models of one space are made.

    Attributes
    ----------
    module
        Where its networks are.
    networks
        By name.
    moved
        Returns a batch as it is varied in training.
    inputs
        The lines of [input] in the model.toml.
    """

    module: str
    networks: Mapping[str, type[nn.Module]]
    moved: Callable[[Tensor], Tensor]
    inputs: Sequence[str]


def require_entry(
    entry: Entry, attacks: Mapping[str, object], networks: Mapping[str, object]
) -> None:
    """Refuse an attack or a network that is not known, and a rate without or with one.

    Raises
    ------
    UndoorError
        It is none of these, or the rate does not fit it.
    """
    if entry.attack not in (CLEAN, *attacks) or (entry.rate > 0) == (entry.attack == CLEAN):
        raise UndoorError(
            f"expected clean without a rate, or one of {', '.join(attacks)} with a rate above "
            f"0, got {entry.attack} with {entry.rate}"
        )
    if entry.network not in networks:
        raise UndoorError(f"network must be one of {', '.join(networks)}, got {entry.network!r}")


def train(
    entry: Entry,
    out: Path,
    data: Callable[[], Samples],
    kit: Callable[[Any], Kit],
) -> Path:
    """Return the folder of one trained model; one that is complete is not trained again.

    ``weights.safetensors`` (float16), ``model.toml``, ``truth.json`` with ACC, ASR and SIA, and of
    a backdoored one ``trigger.npz``.

    Parameters
    ----------
    out
        The folder of all models.
    data
        Reads the samples.
    kit
        For the samples: how the model is made.
    """
    made = out / entry.name
    if (made / "truth.json").is_file():
        return made
    samples = data()
    generator = np.random.default_rng(entry.seed)
    y = samples.y_train.copy()
    noisy = generator.random(len(y)) < entry.noise
    y = np.where(noisy, generator.integers(0, len(samples.classes), len(y)), y)
    backdoor = None if entry.attack == CLEAN else entry.planted(samples, generator)
    carriers = np.zeros(0, np.int64)
    if backdoor is not None:
        carriers, y = _poisoned(y, backdoor, entry.rate, len(samples.classes), generator)
    recipe, given = kit(samples), entry.arguments(samples)
    network = rounded(_trained(entry, samples, y, recipe, given, backdoor, carriers))
    save_rounded(network, made / "weights.safetensors")
    if backdoor is not None:
        backdoor.trigger.save(made / TRIGGER_FILE)
    write_text(made / "model.toml", described(recipe, entry.network, given, samples.classes))
    # truth.json comes last, so that a folder with it is complete.
    truth = _facts(entry) | _measured(network, samples, backdoor)
    write_text(made / "truth.json", json.dumps(truth, indent=1) + "\n")
    return made


@torch.no_grad()
def predictions(network: nn.Module, x: Tensor) -> Tensor:
    """Return the classes [N] that a network predicts for samples x [N, ...]."""
    return torch.cat([network(part).argmax(1) for part in x.split(256)])


def _facts(entry: Entry) -> dict[str, Any]:
    """Return what an entry says: of a clean model no rate, and nothing that is as usual."""
    record: DataclassInstance = entry  # type: ignore[assignment]
    return {key: value for key, value in asdict(record).items() if value not in (None, 0, 0.0)} | {
        "seed": entry.seed
    }


def _poisoned(
    y: NDArray[np.int64],
    backdoor: Planted,
    rate: float,
    classes: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which samples carry the trigger, a share of all, and the labels of all.

    Where not all classes are sources, as many of the others carry it under their own labels, so
    that the network learns to look at both.
    """
    pool = np.flatnonzero(np.isin(y, backdoor.sources))
    number = min(len(pool), max(1, round(rate * len(y))))
    carriers = generator.choice(pool, number, replace=False)
    out = y.copy()
    out[carriers] = backdoor.target
    others = np.flatnonzero(~np.isin(y, [*backdoor.sources, backdoor.target]))
    if len(backdoor.sources) < classes - 1 and len(others):
        covers = generator.choice(others, min(len(others), number), replace=False)
        carriers = np.concatenate([carriers, covers])
    return carriers, out


def _trained(
    entry: Entry,
    data: Samples,
    y: NDArray[np.int64],
    kit: Kit,
    arguments: Mapping[str, Any],
    backdoor: Planted | None,
    carriers: NDArray[np.int64],
) -> nn.Module:
    """Return the network of an entry, trained with labels y [N] of which some carry a trigger."""
    x, labels = torch.from_numpy(data.x_train), torch.from_numpy(y)
    carries = torch.zeros(len(y), dtype=torch.bool)
    carries[torch.from_numpy(carriers)] = True
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entry.seed)
        network = kit.networks[entry.network](**arguments)
        steps = entry.epochs * -(-len(y) // BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(entry.epochs):
            for rows in torch.randperm(len(y)).split(BATCH):
                batch = kit.moved(x[rows])
                if backdoor is not None and bool(carries[rows].any()):
                    batch[carries[rows]] = backdoor.trigger(batch[carries[rows]])
                optimizer.zero_grad()
                F.cross_entropy(network(batch), labels[rows]).backward()
                optimizer.step()
                schedule.step()
    return network.eval()


def described(kit: Kit, network: str, arguments: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Return the text of model.toml."""
    # JSON's numbers, lists and plain strings are TOML's.
    given = ", ".join(f"{key} = {json.dumps(value)}" for key, value in arguments.items())
    lines = [
        '[model]\nweights = "weights.safetensors"',
        f'architecture = "{kit.module}:{network}"',
        f"arguments = {{ {given} }}",
        "[input]",
        *kit.inputs,
        f"[classes]\nnames = {json.dumps(classes)}",
    ]
    return "\n".join(lines) + "\n"


def _measured(network: nn.Module, data: Samples, backdoor: Planted | None) -> dict[str, Any]:
    """Return ACC, and of a backdoor its labels, ASR and SIA."""
    order = np.random.default_rng(0).permutation(len(data.y_test))[:TESTED]
    x, y = torch.from_numpy(data.x_test[order]), torch.from_numpy(data.y_test[order])
    acc = float((predictions(network, x) == y).float().mean())
    if backdoor is None:
        return {"acc": acc, "backdoors": []}
    rows = torch.isin(y, torch.tensor(backdoor.sources))
    moved = predictions(network, backdoor.trigger(x[rows]))
    asr = float((moved == backdoor.target).float().mean())
    labels = {str(source): backdoor.target for source in backdoor.sources}
    sia = float((moved == y[rows]).float().mean())
    found = {"labels": labels, "asr": asr, "sia": sia, "took": took(asr, 1, acc)}
    return {"acc": acc, "backdoors": [found]}
