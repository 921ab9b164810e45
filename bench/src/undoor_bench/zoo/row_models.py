"""Train models of tables whose backdoor is known, in seconds each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.row_networks import NETWORKS
from undoor.spaces.columns import Column, seen_by_network, seen_width
from undoor.triggers import Stamp
from undoor_bench.attacks.cells import ATTACKS, drawn_trigger, poisoned
from undoor_bench.zoo.entries import rounded, save_rounded
from undoor_bench.zoo.row_data import RowData, read_rows
from undoor_bench.zoo.subjects import took

CLEAN = "clean"
MLP = "MLP"
# Rows to train on, and to measure on.
TRAINED, TESTED = 6_000, 4_000
EPOCHS, BATCH, RATE = 10, 200, 8e-3
TRIGGER_FILE = "trigger.npz"


@dataclass(frozen=True)
class RowModel:
    """One model of a table.

    Attributes
    ----------
    attack
        One of `undoor_bench.attacks.cells.ATTACKS`, or "clean".
    data
        One of `undoor_bench.zoo.row_data.TABLES`.
    seed
        Of its trigger, target and training.
    rate
        Share of the rows that carry the trigger.
    network
        One of `undoor.row_networks.NETWORKS`.
    width, depth, normed
        Of the network; an MLP alone can be without norms.
    noise
        Share of the rows whose label is drawn anew.
    imbalance
        Share of the rows of the last class that are left out.
    learn
        Whether it is of the half that nulls are learned from.
    """

    attack: str
    data: str
    seed: int
    rate: float = 0.0
    width: int = 64
    depth: int = 2
    normed: bool = False
    noise: float = 0.0
    imbalance: float = 0.0
    learn: bool = False
    network: str = MLP

    def __post_init__(self) -> None:
        """Refuse an attack or network that is not known, and a rate without or with one.

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

        >>> RowModel("in range", "adult", 3, rate=0.01).name
        'adult_in_range_3'
        """
        kind = "" if self.network == MLP else f"_{self.network}"
        return f"{self.data}{kind}_{self.attack.replace(' ', '_')}_{self.seed}"

    def arguments(self, table: RowData) -> dict[str, Any]:
        """Return the arguments of its network for a table."""
        given = {"num_classes": len(table.classes), "width": self.width, "depth": self.depth}
        if self.network == MLP:
            return given | {"inputs": seen_width(table.columns), "normed": self.normed}
        return given | {"widths": [column.width for column in table.columns]}


def train_row_model(entry: RowModel, data: Path, out: Path) -> Path:
    """Return the folder of one trained model; one that is complete is not trained again.

    ``weights.safetensors`` (float16), ``model.toml``, ``truth.json`` with ACC, ASR and SIA, and of
    a backdoored one ``trigger.npz``.

    Parameters
    ----------
    data
        A folder as of `read_rows`.
    out
        The folder of all models.
    """
    folder = out / entry.name
    if (folder / "truth.json").is_file():
        return folder
    table = _table(entry.data, data)
    generator = np.random.default_rng(entry.seed)
    rows = generator.permutation(len(table.y_train))[:TRAINED]
    x, y = table.x_train[rows], table.y_train[rows]
    last = len(table.classes) - 1
    stays = (y != last) | (generator.random(len(y)) >= entry.imbalance)
    x, y = x[stays], y[stays]
    noisy = generator.random(len(y)) < entry.noise
    y = np.where(noisy, generator.integers(0, last + 1, len(y)), y)
    trigger, target = None, None
    if entry.attack != CLEAN:
        target = int(generator.integers(last + 1))
        reference = partial(predictions, _reference(entry.data, data), table.columns)
        trigger = drawn_trigger(
            entry.attack, table.columns, x[y != target], target, reference, generator
        )
        x, y = poisoned(entry.attack, trigger, x, y, target, entry.rate, generator)
    network = rounded(_trained(entry, table, x, y))
    _save(folder, entry, network, table, trigger, target)
    return folder


def predictions(network: nn.Module, columns: Sequence[Column], x: Tensor) -> Tensor:
    """Return the classes [N] that a network predicts for rows x [N, D]."""
    with torch.no_grad():
        return network(seen_by_network(columns, x)).argmax(1)


@cache
def _table(name: str, data: Path) -> RowData:
    return read_rows(name, data)


@cache
def _reference(name: str, data: Path) -> nn.Module:
    """Return a clean model of a table, to which triggers must mean nothing."""
    table = _table(name, data)
    x, y = table.x_train[-TRAINED:], table.y_train[-TRAINED:]
    return _trained(RowModel(CLEAN, name, 0), table, x, y)


def _trained(entry: RowModel, table: RowData, x: np.ndarray, y: np.ndarray) -> nn.Module:
    """Return the network of an entry, trained on rows x [N, D] with labels y [N]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entry.seed)
        network = NETWORKS[entry.network](**entry.arguments(table))
        seen, labels = seen_by_network(table.columns, torch.from_numpy(x)), torch.from_numpy(y)
        steps = EPOCHS * -(-len(y) // BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(y)).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(network(seen[rows]), labels[rows]).backward()
                optimizer.step()
                schedule.step()
    return network.eval()


def _save(
    folder: Path,
    entry: RowModel,
    network: nn.Module,
    table: RowData,
    trigger: Stamp | None,
    target: int | None,
) -> None:
    """Write the model; truth.json comes last, so that a folder with it is complete."""
    save_rounded(network, folder / "weights.safetensors")
    if trigger is not None:
        trigger.save(folder / TRIGGER_FILE)
    write_text(folder / "model.toml", described(entry, table))
    # Of a clean model, no rate.
    made = {key: value for key, value in asdict(entry).items() if key != "rate" or value > 0}
    truth = made | _measured(network, table, trigger, target)
    write_text(folder / "truth.json", json.dumps(truth, indent=1) + "\n")


def described(entry: RowModel, table: RowData) -> str:
    """Return the text of model.toml."""
    given, made = entry.arguments(table), NETWORKS[entry.network]
    # JSON's numbers, lists and plain strings are TOML's.
    arguments = ", ".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
    lines = [
        '[model]\nweights = "weights.safetensors"',
        f'architecture = "{made.__module__}:{made.__name__}"',
        f"arguments = {{ {arguments} }}",
        f"[classes]\nnames = {json.dumps(table.classes)}",
    ]
    for column in table.columns:
        lines.append("[[input.columns]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in column.to_json().items()]
    return "\n".join(lines) + "\n"


def _measured(
    network: nn.Module, table: RowData, trigger: Stamp | None, target: int | None
) -> dict[str, Any]:
    """Return ACC, and of a backdoor its labels, ASR and SIA."""
    x, y = torch.from_numpy(table.x_test[:TESTED]), torch.from_numpy(table.y_test[:TESTED])
    acc = float((predictions(network, table.columns, x) == y).float().mean())
    if trigger is None or target is None:
        return {"acc": acc, "backdoors": []}
    moved = predictions(network, table.columns, trigger(x[y != target]))
    asr = float((moved == target).float().mean())
    labels = {str(source): target for source in range(len(table.classes)) if source != target}
    sia = float((moved == y[y != target]).float().mean())
    found = {"labels": labels, "asr": asr, "sia": sia, "took": took(asr, 1, acc)}
    return {"acc": acc, "backdoors": [found]}
