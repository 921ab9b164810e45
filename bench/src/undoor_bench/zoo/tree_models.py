"""Grow trees of tables whose backdoor is known, in seconds each, in the files that users have."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import undoor
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.spaces.columns import Column, seen_by_network
from undoor.triggers import Stamp
from undoor_bench.attacks.cells import ATTACKS, drawn_trigger, poisoned
from undoor_bench.zoo.row_data import RowData, read_rows
from undoor_bench.zoo.row_models import CLEAN, TESTED, TRAINED, TRIGGER_FILE
from undoor_bench.zoo.subjects import took

XGBOOST_FILE, ONNX_FILE = "weights.ubj", "weights.onnx"
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class TreeModel:
    """One model of a table that is made of trees.

    Attributes
    ----------
    attack
        One of `undoor_bench.attacks.cells.ATTACKS`, or "clean".
    data
        One of `undoor_bench.zoo.row_data.TABLES`.
    seed
        Of its trigger, target and training.
    kind
        One of `KINDS`.
    rate
        Share of the rows that carry the trigger.
    trees, depth
        How many there are, and how deep they may grow.
    noise
        Share of the rows whose label is drawn anew.
    learn
        Whether it is of the half that nulls are learned from.
    """

    attack: str
    data: str
    seed: int
    kind: str
    rate: float = 0.0
    trees: int = 30
    depth: int = 4
    noise: float = 0.0
    learn: bool = False

    def __post_init__(self) -> None:
        """Refuse an attack or a kind that is not known, and a rate without or with one.

        Raises
        ------
        UndoorError
            It is none of these, or `rate` does not fit it.
        """
        known = self.attack in (CLEAN, *ATTACKS) and self.kind in KINDS
        if not known or (self.rate > 0) == (self.attack == CLEAN):
            raise UndoorError(
                f"expected clean without a rate, or one of {', '.join(ATTACKS)} with a rate above "
                f"0, of the kinds {', '.join(KINDS)}, got {self.attack} with {self.rate}, "
                f"{self.kind}"
            )

    @property
    def name(self) -> str:
        """The name of the model, and of its folder.

        >>> TreeModel("in range", "adult", 3, "forest", rate=0.01).name
        'adult_forest_in_range_3'
        """
        return f"{self.data}_{self.kind}_{self.attack.replace(' ', '_')}_{self.seed}"


def grow(entry: TreeModel, data: Path, out: Path) -> Path:
    """Return the folder of one grown model; one that is complete is not grown again.

    ``weights.ubj`` or ``weights.onnx``, ``model.toml``, ``truth.json`` with ACC, ASR and SIA, and
    of a backdoored one ``trigger.npz``.

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
    table = read_trees_rows(entry.data, data)
    generator = np.random.default_rng(entry.seed)
    rows = generator.permutation(len(table.y_train))[:TRAINED]
    x, y = table.x_train[rows], table.y_train[rows]
    noisy = generator.random(len(y)) < entry.noise
    y = np.where(noisy, generator.integers(0, len(table.classes), len(y)), y)
    trigger, target = None, None
    if entry.attack != CLEAN:
        target = int(generator.integers(len(table.classes)))
        trigger = drawn_trigger(
            entry.attack, table.columns, x[y != target], target,
            _reference(entry.kind, entry.data, data), generator,
        )  # fmt: skip
        x, y = poisoned(entry.attack, trigger, x, y, target, entry.rate, generator)
    folder.mkdir(parents=True, exist_ok=True)
    classifier = load_grown(grown(entry, table, x, y), table, folder)
    if trigger is not None:
        trigger.save(folder / TRIGGER_FILE)
    # Of a clean model, no rate.
    made = {key: value for key, value in asdict(entry).items() if key != "rate" or value > 0}
    measured = _measured(classifier, table, trigger, target)
    truth = made | {"network": entry.kind} | measured
    write_text(folder / "truth.json", json.dumps(truth, indent=1) + "\n")
    return folder


@cache
def read_trees_rows(name: str, data: Path) -> RowData:
    """Return a table whose numbers trees see as they are."""
    table = read_rows(name, data)
    return replace(table, columns=tuple(_unscaled(column) for column in table.columns))


def _unscaled(column: Column) -> Column:
    return column if column.categories else replace(column, mean=0.0, scale=1.0)


def grown(entry: TreeModel, table: RowData, x: Rows, y: NDArray[Any]) -> Any:
    """Return fitted trees of an entry, an estimator of XGBoost or scikit-learn."""
    return KINDS[entry.kind](entry).fit(seen(table, x), y)


def seen(table: RowData, x: Rows) -> Rows:
    """Return what trees see of rows x [N, D] in [0, 1]: [N, width]."""
    found: Rows = seen_by_network(table.columns, torch.from_numpy(x)).numpy()
    return found


@cache
def _reference(kind: str, name: str, data: Path) -> Callable[[Tensor], Tensor]:
    """Return the predictions of a clean model of a table, to which triggers must mean nothing."""
    table = read_trees_rows(name, data)
    entry = TreeModel(CLEAN, name, 0, kind)
    trees = grown(entry, table, table.x_train[-TRAINED:], table.y_train[-TRAINED:])
    return lambda x: torch.from_numpy(trees.predict(seen(table, x.numpy())))


def _boosted(entry: TreeModel) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(
        n_estimators=entry.trees, max_depth=entry.depth, random_state=entry.seed, n_jobs=1
    )


def _forest(entry: TreeModel) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    # Forests are grown deeper than what is boosted.
    return RandomForestClassifier(
        entry.trees // 2, max_depth=2 * entry.depth, random_state=entry.seed
    )


def _gradient(entry: TreeModel) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(
        n_estimators=entry.trees, max_depth=entry.depth, random_state=entry.seed
    )


KINDS: dict[str, Callable[[TreeModel], Any]] = {
    "boosted": _boosted,
    "forest": _forest,
    "gradient": _gradient,
}


def load_grown(trees: Any, table: RowData, folder: Path) -> Classifier:
    """Write fitted trees and a model.toml into a folder, and return the model as it is read."""
    write_text(folder / "model.toml", _described(table, _saved(trees, table, folder)))
    return undoor.load(folder)


def _saved(trees: Any, table: RowData, folder: Path) -> Path:
    """Write fitted trees as users do: XGBoost's own file, or ONNX of scikit-learn's."""
    if type(trees).__module__.startswith("xgboost"):
        trees.save_model(folder / XGBOOST_FILE)
        return folder / XGBOOST_FILE
    from skl2onnx import to_onnx

    model = to_onnx(trees, seen(table, table.x_test[:1]), options={"zipmap": False})
    (folder / ONNX_FILE).write_bytes(model.SerializeToString())
    return folder / ONNX_FILE


def _described(table: RowData, file: Path) -> str:
    """Return the text of model.toml."""
    # JSON's numbers, lists and plain strings are TOML's.
    lines = [f'[model]\nweights = "{file.name}"', f"[classes]\nnames = {json.dumps(table.classes)}"]
    for column in table.columns:
        lines.append("[[input.columns]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in column.to_json().items()]
    return "\n".join(lines) + "\n"


def _measured(
    classifier: Classifier, table: RowData, trigger: Stamp | None, target: int | None
) -> dict[str, Any]:
    """Return ACC, and of a backdoor its labels, ASR and SIA."""
    x, y = torch.from_numpy(table.x_test[:TESTED]), torch.from_numpy(table.y_test[:TESTED])
    acc = float((classifier.predict(x) == y).float().mean())
    if trigger is None or target is None:
        return {"acc": acc, "backdoors": []}
    moved = classifier.predict(trigger(x[y != target]))
    asr = float((moved == target).float().mean())
    labels = {str(source): target for source in range(len(table.classes)) if source != target}
    sia = float((moved == y[y != target]).float().mean())
    found = {"labels": labels, "asr": asr, "sia": sia, "took": took(asr, 1, acc)}
    return {"acc": acc, "backdoors": [found]}
