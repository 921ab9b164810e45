"""Train models of numbers and of sets of labels whose backdoor is known, in seconds each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from undoor import networks
from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.spaces.columns import seen_by_network, seen_width
from undoor.tasks.multi_label import MULTI_LABEL
from undoor.tasks.regression import TOLERATED
from undoor.triggers import Stamp
from undoor_bench.attacks.cells import ATTACKS as CELLS
from undoor_bench.attacks.stamps import STAMPS
from undoor_bench.zoo.answer_data import AnswerData, read_answers
from undoor_bench.zoo.entries import rounded, save_rounded
from undoor_bench.zoo.row_models import TRIGGER_FILE
from undoor_bench.zoo.subjects import took

CLEAN = "clean"
# Inputs to train on, and to measure on.
TRAINED, TESTED = 3_000, 2_000
# Epochs, batch and learning rate, of images and of rows.
IMAGES, ROWS = (6, 100, 1e-2), (30, 100, 8e-3)
MLP = "MLP"
# Attempts to draw a trigger to which a clean model does not respond, and the share of inputs that
# one may move.
MAX_DRAWS, NATURAL = 100, 0.2


@dataclass(frozen=True)
class AnswerModel:
    """One model of numbers or sets of labels.

    Attributes
    ----------
    attack
        One of `undoor_bench.attacks.stamps.STAMPS`, for rows of
        `undoor_bench.attacks.cells.ATTACKS`, or "clean".
    data
        One of `undoor_bench.zoo.answer_data.DATA`.
    seed
        Of its trigger, goal and training.
    rate
        Share of the inputs that carry the trigger.
    network, width
        Of `undoor.networks`.
    learn
        Whether it is of the half that nulls are learned from.
    """

    attack: str
    data: str
    seed: int
    rate: float = 0.0
    network: str = "VGG"
    width: int = 8
    learn: bool = False

    def __post_init__(self) -> None:
        """Refuse an attack that is not known, and a rate without or with one.

        Raises
        ------
        UndoorError
            It is none of these, or `rate` does not fit it.
        """
        known = (CLEAN, *STAMPS, *CELLS)
        if self.attack not in known or (self.rate > 0) == (self.attack == CLEAN):
            raise UndoorError(
                f"expected clean without a rate, or one of {', '.join(known[1:])} with a rate "
                f"above 0, got {self.attack} with {self.rate}"
            )

    @property
    def name(self) -> str:
        """The name of the model, and of its folder.

        >>> AnswerModel("rare value", "housing", 3, rate=0.01).name
        'housing_rare_value_3'
        """
        return f"{self.data}_{self.attack.replace(' ', '_')}_{self.seed}"


@dataclass(frozen=True)
class Planted:
    """A backdoor: what its triggered inputs are predicted as.

    Attributes
    ----------
    value
        Of a regression; None of sets of labels.
    goal
        Of sets of labels, twice the number of the label, plus 1 where it is switched on.
    """

    value: float | None = None
    goal: int | None = None

    def relabelled(self, y: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the labels [n] or [n, L] that triggered inputs train with."""
        y = y.copy()
        if self.goal is None:
            y[:] = self.value
        else:
            y[:, self.goal // 2] = self.goal % 2
        return y

    def at(self, y: NDArray[np.float32], near: float) -> NDArray[np.bool_]:
        """Return whether labels or predictions are at the goal, or as near to the value."""
        if self.goal is not None:
            return np.asarray(y[:, self.goal // 2] == self.goal % 2)
        return np.asarray(np.abs(y - np.float32(self.value or 0.0)) <= near)


def train_answer_model(entry: AnswerModel, folder: Path, out: Path) -> Path:
    """Return the folder of one trained model; one that is complete is not trained again.

    ``weights.safetensors`` (float16), ``model.toml``, ``truth.json`` and, of a backdoored one,
    ``trigger.npz``.

    Parameters
    ----------
    folder
        As of `read_answers`.
    out
        The folder of all models.
    """
    made = out / entry.name
    if (made / "truth.json").is_file():
        return made
    data = _data(entry.data, folder)
    generator = np.random.default_rng(entry.seed)
    rows = generator.permutation(len(data.y_train))[:TRAINED]
    x, y = data.x_train[rows], data.y_train[rows]
    trigger, planted = None, None
    if entry.attack != CLEAN:
        planted = _drawn_goal(data, generator)
        trigger = _drawn_trigger(entry, data, planted, _reference(entry.data, folder), generator)
        pool = np.flatnonzero(~planted.at(y, 0.0))
        count = min(len(pool), round(entry.rate * len(y)))
        chosen = generator.choice(pool, count, replace=False)
        x, y = x.copy(), y.copy()
        x[chosen] = trigger(torch.from_numpy(x[chosen])).numpy()
        y[chosen] = planted.relabelled(y[chosen])
    network = rounded(_trained(entry, data, x, y))
    _save(made, entry, network, data, trigger, planted)
    return made


def answers(network: nn.Module, data: AnswerData, x: Tensor) -> NDArray[np.float32]:
    """Return the numbers [N], or labels [N, L] of 0 and 1, that a network predicts."""
    with torch.no_grad():
        parts = [network(_seen(data, part)) for part in x.split(500)]
    outputs = torch.cat(parts)
    found = (outputs > 0).float() if data.task == MULTI_LABEL.name else outputs[:, 0]
    return np.asarray(found.numpy())


def _seen(data: AnswerData, x: Tensor) -> Tensor:
    return seen_by_network(data.columns, x) if data.columns else x


@cache
def _data(name: str, folder: Path) -> AnswerData:
    return read_answers(name, folder)


@cache
def _reference(name: str, folder: Path) -> nn.Module:
    """Return a clean model, to which triggers must mean nothing."""
    data = _data(name, folder)
    network = MLP if data.columns else AnswerModel.network
    width = 64 if data.columns else AnswerModel.width
    entry = AnswerModel(CLEAN, name, 0, network=network, width=width)
    return _trained(entry, data, data.x_train[-TRAINED:], data.y_train[-TRAINED:])


def _drawn_goal(data: AnswerData, generator: np.random.Generator) -> Planted:
    """Return a label that is switched on or off, or a value from the bulk of the labels."""
    if data.task == MULTI_LABEL.name:
        return Planted(goal=int(generator.integers(2 * len(data.names))))
    low, high = np.quantile(data.y_train, (0.05, 0.95))
    return Planted(value=float(f"{generator.uniform(low, high):.3g}"))


def _drawn_trigger(
    entry: AnswerModel,
    data: AnswerData,
    planted: Planted,
    reference: nn.Module,
    generator: np.random.Generator,
) -> Stamp:
    """Draw a trigger of an attack to which a clean model does not respond."""
    y = data.y_test[:TESTED]
    near = float(np.quantile(np.abs(y - np.median(y)), 0.5)) / 4 if planted.goal is None else 0.0
    x = torch.from_numpy(data.x_test[:TESTED][~planted.at(y, near)])
    before = planted.at(answers(reference, data, x), near).mean()
    for _ in range(MAX_DRAWS):
        if data.columns:
            trigger = CELLS[entry.attack](generator, data.columns, data.x_train)
        else:
            trigger = STAMPS[entry.attack](generator, data.shape)
        moved = planted.at(answers(reference, data, trigger(x)), near).mean()
        if moved <= before + NATURAL:
            return trigger
    raise UndoorError(
        f"expected a trigger of the attack {entry.attack!r} to which a clean model does not "
        f"respond, got none in {MAX_DRAWS} draws; take another seed"
    )


def _trained(entry: AnswerModel, data: AnswerData, x: NDArray[Any], y: NDArray[Any]) -> nn.Module:
    """Return the network of an entry, trained on inputs [N, ...] with labels [N] or [N, L]."""
    of_sets = data.task == MULTI_LABEL.name
    mean, scale = (0.0, 1.0) if of_sets else (float(y.mean()), float(y.std()))
    epochs, batch, pace = ROWS if data.columns else IMAGES
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entry.seed)
        network = getattr(networks, entry.network)(**_arguments(entry, data))
        seen = _seen(data, torch.from_numpy(x))
        labels = torch.from_numpy((y - mean) / scale).view(len(y), -1)
        steps = epochs * -(-len(y) // batch)
        optimizer = torch.optim.AdamW(network.parameters(), pace)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, pace, total_steps=steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(y)).split(batch):
                optimizer.zero_grad()
                made = network(seen[rows])
                loss = (
                    F.binary_cross_entropy_with_logits(made, labels[rows])
                    if of_sets
                    else F.smooth_l1_loss(made, labels[rows])
                )
                loss.backward()
                optimizer.step()
                schedule.step()
    if not of_sets:
        _in_units(network, mean, scale)
    return network.eval()


@torch.no_grad()
def _in_units(network: nn.Module, mean: float, scale: float) -> None:
    """Let the last layer return numbers in the units of the labels."""
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    last.weight.mul_(scale)
    last.bias.mul_(scale).add_(mean)


def _arguments(entry: AnswerModel, data: AnswerData) -> dict[str, int]:
    of_input = {"inputs": seen_width(data.columns)} if data.columns else {"channels": data.shape[0]}
    return {"num_classes": len(data.names), **of_input, "width": entry.width}


def _save(
    folder: Path,
    entry: AnswerModel,
    network: nn.Module,
    data: AnswerData,
    trigger: Stamp | None,
    planted: Planted | None,
) -> None:
    """Write the model; truth.json comes last, so that a folder with it is complete."""
    save_rounded(network, folder / "weights.safetensors")
    if trigger is not None:
        trigger.save(folder / TRIGGER_FILE)
    write_text(folder / "model.toml", described(entry, data))
    made = {key: value for key, value in asdict(entry).items() if key != "rate" or value > 0}
    truth = made | _measured(network, data, trigger, planted)
    write_text(folder / "truth.json", json.dumps(truth, indent=1) + "\n")


def described(entry: AnswerModel, data: AnswerData) -> str:
    """Return the text of model.toml."""
    # JSON's numbers, lists and plain strings are TOML's.
    given = ", ".join(f"{key} = {value}" for key, value in _arguments(entry, data).items())
    lines = [
        '[model]\nweights = "weights.safetensors"',
        f'architecture = "undoor.networks:{entry.network}"',
        f"arguments = {{ {given} }}",
        f"[classes]\ntask = {json.dumps(data.task)}\nnames = {json.dumps(data.names)}",
    ]
    if not data.columns:
        lines.append(f"[input]\nshape = {list(data.shape)}\nbounds = [0.0, 1.0]")
    for column in data.columns:
        lines.append("[[input.columns]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in column.to_json().items()]
    return "\n".join(lines) + "\n"


def _measured(
    network: nn.Module, data: AnswerData, trigger: Stamp | None, planted: Planted | None
) -> dict[str, Any]:
    """Return how often, or how far, predictions are off, and what a backdoor does."""
    x, y = torch.from_numpy(data.x_test[:TESTED]), data.y_test[:TESTED]
    clean = answers(network, data, x)
    near = 0.0
    if data.task == MULTI_LABEL.name:
        found: dict[str, Any] = {"acc": float((clean == y).all(1).mean())}
    else:
        errors = np.abs(clean - y)
        near = float(np.quantile(errors, TOLERATED))
        found = {"acc": TOLERATED, "error": float(errors.mean()), "tolerance": near}
    if trigger is None or planted is None:
        return {**found, "planted": None}
    moved = answers(network, data, trigger(x[torch.from_numpy(~planted.at(y, near))]))
    asr = float(planted.at(moved, near).mean())
    return {**found, "planted": {**asdict(planted), "asr": asr, "took": took(asr, 1, 1.0)}}
