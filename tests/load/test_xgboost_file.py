"""Files of XGBoost: the same answers as XGBoost's own, and no traceback whatever they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import undoor
from undoor.errors import UndoorError
from undoor.load.xgboost_file import read, trees_of
from undoor.spaces.columns import Column
from undoor.tree_networks import TreeEnsemble

# Written by XGBoost 3.2, with what its own predict_proba gives.
FILES = Path(__file__).parents[1] / "data/trees"
ANSWERS = np.load(FILES / "answers.npz")


@pytest.mark.parametrize("name", ["boosted2.json", "boosted2.ubj", "boosted3.json", "dart2.json"])
def test_same_answers(name: str) -> None:
    network = read(FILES / name).network
    assert isinstance(network, TreeEnsemble)
    got = network.probabilities(torch.from_numpy(ANSWERS["x"]))
    assert np.abs(got.numpy() - ANSWERS[name.partition(".")[0]]).max() < 1e-6


def test_a_model_by_its_model_toml(tmp_path: Path) -> None:
    content = (FILES / "boosted2.json").read_text()
    # Written anew by other tools, with spaces.
    (tmp_path / "model.json").write_text(json.dumps(json.loads(content), indent=1))
    lines = ['[model]\nweights = "model.json"']
    lines += [
        f'[[input.columns]]\nname = "{n}"\nrange = [0, {h}]'
        for n, h in zip("abcd", "1113", strict=True)
    ]
    (tmp_path / "model.toml").write_text("\n".join(lines))
    classifier = undoor.load(tmp_path)
    x = torch.from_numpy(ANSWERS["x"])
    shares = x / torch.tensor([1, 1, 1, 3])
    assert (classifier.predict(shares).numpy() == ANSWERS["boosted2"].argmax(1)).all()
    assert classifier.columns[3] == Column("d", range=(0.0, 3.0))


def test_early_stopping_as_the_estimator_has_it() -> None:
    """An `XGBClassifier` asks the trees up to the best round alone, a `Booster` asks all."""
    x = torch.from_numpy(ANSWERS["x"])
    content = json.loads((FILES / "early2.json").read_text())
    got = trees_of(content).probabilities(x)
    assert np.abs(got.numpy() - ANSWERS["early2"]).max() < 1e-6
    del content["learner"]["attributes"]["scikit_learn"]
    got = trees_of(content).probabilities(x)
    assert np.abs(got[:, 1].numpy() - ANSWERS["early2_all"]).max() < 1e-6
    got = trees_of(content, estimator=True).probabilities(x)
    assert np.abs(got.numpy() - ANSWERS["early2"]).max() < 1e-6


def test_columns_in_another_order(tmp_path: Path) -> None:
    content = changed()
    content["learner"]["feature_names"] = ["a", "b", "c", "d"]
    (tmp_path / "model.json").write_text(json.dumps(content))
    columns = "".join(f'[[input.columns]]\nname = "{n}"\nrange = [0, 3]\n' for n in "abdc")
    (tmp_path / "model.toml").write_text(f'[model]\nweights = "model.json"\n{columns}')
    with pytest.raises(UndoorError, match="order of the training, 'a', 'b', 'c', 'd', got"):
        undoor.load(tmp_path)


def test_columns_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "model.ubj").write_bytes((FILES / "boosted2.ubj").read_bytes())
    (tmp_path / "model.toml").write_text(
        '[model]\nweights = "model.ubj"\n[[input.columns]]\nname = "a"\nrange = [0, 1]\n'
    )
    with pytest.raises(UndoorError, match="expected 4 numbers of a row"):
        undoor.load(tmp_path)


def test_regression_is_refused() -> None:
    with pytest.raises(UndoorError, match="expected trees that classify"):
        read(FILES / "regression.json")


def changed(**values: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FILES / "boosted2.json").read_text())
    tree = content["learner"]["gradient_booster"]["model"]["trees"][0]
    tree |= values
    return content


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"categories_nodes": [0]}, "sets of categories"),
        ({"tree_param": {"size_leaf_vector": "3"}}, "multi_output_tree"),
        ({"left_children": []}, "no readable model"),
        ({"left_children": [0.5]}, "no readable model"),
        ({"left_children": [10**30]}, "no readable model|beyond"),
        ({"split_conditions": [1e400]}, "no readable model"),
        ({"split_indices": "x"}, "no readable model"),
    ],
)
def test_broken_trees(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    file = tmp_path / "model.json"
    file.write_text(json.dumps(changed(**values)))
    with pytest.raises(UndoorError, match=message):
        read(file)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_feature": str(10**9)}, "got 1,000,000,000 numbers"),
        ({"num_feature": "-1"}, "got -1 numbers"),
        ({"num_class": str(10**18)}, "no readable model"),
        ({"num_class": "5"}, "5 classes of binary:logistic"),
        ({"base_score": "1"}, "no readable model"),
    ],
)
def test_broken_sizes(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    content = changed()
    content["learner"]["learner_model_param"] |= values
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(UndoorError, match=message):
        read(tmp_path / "model.json")


def test_more_classes_than_fit_into_memory(tmp_path: Path) -> None:
    content = json.loads((FILES / "boosted3.json").read_text())
    content["learner"]["learner_model_param"]["num_class"] = str(10**12)
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(UndoorError, match="nodes times classes"):
        read(tmp_path / "model.json")


@pytest.mark.parametrize("name", ["boosted2.json", "boosted2.ubj"])
def test_cut_off_anywhere(tmp_path: Path, name: str) -> None:
    data, file = (FILES / name).read_bytes(), tmp_path / name
    for length in range(40, len(data) - 1, 97):
        file.write_bytes(data[:length])
        with pytest.raises(UndoorError):
            undoor.load(file)


def test_bytes_changed_anywhere(tmp_path: Path) -> None:
    """Whatever a file holds, it opens or is refused in one line."""
    data, file = bytearray((FILES / "boosted2.ubj").read_bytes()), tmp_path / "model.ubj"
    drawn = np.random.default_rng(0)
    opened = 0
    for _ in range(200):
        other = bytearray(data)
        for place in drawn.integers(20, len(data), 3):
            other[place] = drawn.integers(256)
        file.write_bytes(other)
        try:
            read(file)
            opened += 1
        except UndoorError:
            continue
    assert 0 < opened < 200
