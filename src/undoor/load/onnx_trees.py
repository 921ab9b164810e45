"""Decision trees in ONNX files, as skl2onnx and onnxmltools write them, compared with ONNX Runtime.

Their operator, `TreeEnsembleClassifier`, lists all nodes of all trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from undoor.errors import UndoorError, first_line
from undoor.load.graph import Graph
from undoor.load.hub import from_library
from undoor.load.onnx_file import EXTRA
from undoor.tree_networks import Link, Tree, TreeEnsemble, require_size

DOMAIN = "ai.onnx.ml"
TREES = "TreeEnsembleClassifier"
# What converters put behind the trees, which changes no score.
BEHIND = frozenset({"ZipMap", "Cast", "Identity", "Normalizer", "ArrayFeatureExtractor"})
LEAF, BRANCHES = b"LEAF", (b"BRANCH_LEQ", b"BRANCH_LT")
LINKS: dict[bytes, Link] = {b"NONE": "shares", b"LOGISTIC": "sums", b"SOFTMAX": "sums"}
# Rows that both are asked, and how far their probabilities may be apart.
COMPARED, PARITY = 256, 1e-4
ALONE = "convert the fitted trees alone, and describe what stands before them as columns"


def holds_trees(model: Any) -> bool:
    """Return whether a parsed ONNX model has operators for tables."""
    return any(node.domain == DOMAIN for node in model.graph.node)


def read(model: Any, path: Path) -> Graph:
    """Return the trees of a parsed ONNX model.

    Raises
    ------
    UndoorError
        It holds other operators, trees that do not classify, or ONNX Runtime answers otherwise.
    """
    nodes = [node for node in model.graph.node if node.op_type not in BEHIND]
    if [node.op_type for node in nodes] != [TREES]:
        names = ", ".join(dict.fromkeys(node.op_type for node in nodes))
        raise UndoorError(f"{path} holds the operators {names}; expected {TREES} alone: {ALONE}")
    given = {item.name: _value(item) for item in nodes[0].attribute}
    try:
        trees = _ensemble(given, _width(model))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UndoorError(
            f"{path} holds no readable trees ({type(error).__name__}: {error!s:.80}); convert the "
            "model again"
        ) from None
    return Graph(trees, None, partial(_compare, trees, path))


def _value(item: Any) -> Any:
    found = (item.ints, item.floats, item.strings)
    listed = next((values for values in found if len(values)), None)
    return item.s if listed is None else list(listed)


def _width(model: Any) -> int:
    sizes = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    if len(model.graph.input) != 1 or len(sizes) != 2 or sizes[1] < 1:
        raise ValueError("expected one input [N, numbers]")
    return int(sizes[1])


def _ensemble(given: Mapping[str, Any], width: int) -> TreeEnsemble:
    link = LINKS[given.get("post_transform", b"NONE")]
    labels = given.get("classlabels_int64s") or given["classlabels_strings"]
    modes = np.array(given["nodes_modes"])
    kinds = set(modes.tolist()) - {LEAF}
    if not kinds <= set(BRANCHES) or len(kinds) > 1:
        raise ValueError(f"branches {sorted(kinds)}")
    classes = sorted(set(given["class_ids"]))
    binary = len(labels) == 2 and len(classes) == 1
    if not binary and max(classes) >= len(labels):
        raise ValueError("a class beyond the labels")
    columns = 1 if binary else len(labels)
    require_size(len(modes), width, columns)
    made = _trees(given, modes, columns, binary=binary)
    start = given.get("base_values") or [0.0] * columns
    if binary and link == "shares":  # The votes of class 1; the others are those of class 0.
        made = [_with_rest(tree, len(made)) for tree in made]
        start = [-float(start[0]), float(start[0])]
    at = "left" if kinds <= {BRANCHES[0]} else "right"
    return TreeEnsemble(made, width, [float(s) for s in start], link, at)  # type: ignore[arg-type]


def _trees(
    given: Mapping[str, Any], modes: NDArray[Any], columns: int, *, binary: bool
) -> list[Tree]:
    owner, number = (np.array(given[f"nodes_{key}"], np.int64) for key in ("treeids", "nodeids"))
    leaf = modes == LEAF
    weights = np.zeros((len(owner), columns))
    place = {pair: i for i, pair in enumerate(zip(owner.tolist(), number.tolist(), strict=True))}
    rows = zip(
        given["class_treeids"], given["class_nodeids"], given["class_ids"], given["class_weights"],
        strict=True,
    )  # fmt: skip
    for tree, node, column, weight in rows:
        weights[place[tree, node], 0 if binary else column] += weight
    out = []
    for tree in sorted(set(owner.tolist())):
        own = np.flatnonzero(owner == tree)
        local = {int(number[i]): k for k, i in enumerate(own)}
        left, right = (
            np.array([-1 if leaf[i] else local[given[f"nodes_{side}nodeids"][i]] for i in own])
            for side in ("true", "false")
        )
        feature, value = (np.array(given[f"nodes_{key}"])[own] for key in ("featureids", "values"))
        out.append(Tree(feature, value.astype(np.float64), left, right, weights[own]))
    return out


def _with_rest(tree: Tree, count: int) -> Tree:
    """Return a tree of votes for class 1 as one for both classes."""
    rest = np.where(tree.left < 0, 1 / count, 0.0)[:, None]
    both = np.concatenate([rest - tree.value, tree.value], 1)
    return Tree(tree.feature, tree.threshold, tree.left, tree.right, both)


def _compare(trees: TreeEnsemble, path: Path, shape: Sequence[int]) -> None:
    """Refuse trees whose probabilities differ from those of ONNX Runtime."""
    if tuple(shape) != (trees.width,):
        raise UndoorError(
            f"{path} takes {trees.width} numbers of a row, the columns give {shape[0]}; describe "
            "the columns as they were in the training"
        )
    (session_type,) = from_library("onnxruntime", "InferenceSession", extra=EXTRA)
    x = trees.rows_between(COMPARED)
    try:
        session = session_type(str(path), providers=["CPUExecutionProvider"])
        answers = session.run(None, {session.get_inputs()[0].name: x.numpy()})[-1]
    except Exception as error:
        raise UndoorError(f"{path} does not run ({first_line(error)}); convert it again") from error
    if isinstance(answers, list):  # By ZipMap, a mapping for each row.
        answers = [list(answer.values()) for answer in answers]
    expected = torch.tensor(np.array(answers, np.float32))
    got = trees.probabilities(x)
    if got.shape != expected.shape or float((got - expected).abs().max()) > PARITY:
        raise UndoorError(
            f"{path}: its trees, as undoor reads them, answer otherwise than in ONNX Runtime; "
            "convert the model again with probabilities as its last output"
        )
