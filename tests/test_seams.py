"""What an input is, its space says alone; what an output means, its task alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import undoor.vocabulary

ROOT = Path(undoor.vocabulary.__file__).parent
COMPARED_AXES = {"dim", "ndim"}
OF_OUTPUTS = {
    "argmax", "softmax", "log_softmax", "cross_entropy", "nll_loss", "logsumexp", "topk",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "one_hot",
}  # fmt: skip
MAKERS = {"rand", "randn", "full", "zeros", "ones", "empty", "randint", "rand_like"}

# Comparisons of a number of axes that are about something else than an input.
AXES_OF_OTHERS = {
    "align/onepass.py": "what a site delivers",
    "align/units.py": "what a site delivers",
    "classifier.py": "weights of the network, as they lie in memory",
    "clean_set/batches.py": "arrays in files, of which no model is known yet",
    "clean_set/iterable.py": "arrays in files",
    "clean_set/labels.py": "arrays in files",
    "clean_set/npz.py": "arrays in files",
    "clean_set/source.py": "arrays in files",
    "fast_layout.py": "maps inside the network, as they lie in memory",
    "input_size.py": "how many axes an input may have at all",
    "inspect/checkpoint.py": "weights in a file",
    "inversion/chunks.py": "maps inside the network, as they lie in memory",
    "load/exported.py": "constants of a graph",
    "load/layer_kinds.py": "weights of a graph",
    "load/processor.py": "what a foreign processor returns",
    "load/safetensors_header.py": "tensors of a file",
    "preparation.py": "pixels of a picture, without torch, which spaces take",
    "scrutiny/reading.py": "values inside the network",
    "serve/kept_input.py": "arrays in a database",
    "serve/pictures.py": "pixels of a picture, without torch, which spaces take",
    "sites/heads.py": "values inside the network",
    "sites/places.py": "values inside the network",
    "triggers/stamp.py": "a mask that all channels share",
    "strided_depthwise.py": "what a convolution of maps is given",
}
# Calls that are about something else than what a network answers.
NO_OUTPUTS = {
    ("align/onepass.py", "topk"): "extremes of units",
    ("clean_set/labels.py", "argmax"): "labels that are given as rows of 0 and 1",
    ("inversion/opaque.py", "topk"): "the strongest pixels of a mask",
    ("inversion/moved_rows.py", "argmax"): "which cells move rows most",
    ("inversion/row_evidence.py", "one_hot"): "the categories of a column",
    ("inversion/moved_texts.py", "argmax"): "which token is needed least",
    ("inversion/soft_tokens.py", "argmax"): "which word a mixture of words is nearest to",
    ("inversion/soft_tokens.py", "softmax"): "mixtures of words",
    ("inversion/text_evidence.py", "cross_entropy"): "a regression on clean texts, no network",
    ("inversion/token_search.py", "argmax"): "which tokens move texts most",
    ("scan/confirm.py", "argmax"): "where most images of a class end",
    ("output_forms/classes.py", "argmax"): "what servers predict, without torch, which tasks take",
    ("point_networks.py", "topk"): "the nearest points",
    ("triggers/deformation.py", "softmax"): "how near a point is to each anchor",
    ("row_networks.py", "softmax"): "attention over columns",
    ("signal_networks.py", "softmax"): "attention over steps",
    ("signal_networks.py", "one_hot"): "the nearest frequency of a band",
    ("text_networks.py", "softmax"): "attention inside a network",
    ("sites/heads.py", "argmax"): "the channel that tells most",
}
# Tensors of an input's shape that are no inputs.
NO_INPUTS = {
    "inversion/cell_search.py": "the cells of a trigger",
    "inversion/patch_starts.py": "what the colours of patches start from",
    "serve/served_model.py": "what an engine runs once before requests come",
    "load/lazy_layers.py": "what gives lazy layers their sizes, before there is a classifier",
}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def counts_axes(node: ast.expr) -> bool:
    """x.dim(), x.ndim, len(x.shape), len(shape) and the like."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
        return ast.unparse(node.args[0]).endswith("shape")
    asked = node.func if isinstance(node, ast.Call) else node
    return isinstance(asked, ast.Attribute) and asked.attr in COMPARED_AXES


def switches(tree: ast.Module) -> list[int]:
    """The lines in which a number of axes is compared with a fixed one."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            fixed = any(isinstance(s, ast.Constant) or ast.unparse(s).isupper() for s in sides)
            if fixed and any(counts_axes(side) for side in sides):
                found.append(node.lineno)
    return found


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else None
            name = node.func.id if isinstance(node.func, ast.Name) else name
            if name:
                yield name, node


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("len(shape) == 3", 1),
        ("len(classifier.input_shape) != 3", 1),
        ("x.dim() == 4 and y", 1),
        ("images.ndim > IMAGE_AXES", 1),
        ("np.ndim(x) == 0", 1),
        ("x.dim() == y.dim()", 0),
        ("len(names) == 3", 0),
    ],
)
def test_switches_are_found(code: str, found: int) -> None:
    assert len(switches(ast.parse(code))) == found


def test_no_switch_on_the_shape_of_an_input() -> None:
    found = {name for name, tree in trees() if switches(tree)}
    seams = ("spaces/", "tasks/")
    new = {name for name in found - AXES_OF_OTHERS.keys() if not name.startswith(seams)}
    assert new == set(), "ask the space of the model (undoor.spaces)"
    assert AXES_OF_OTHERS.keys() <= found, "no longer needed here"


def test_outputs_are_read_by_tasks_alone() -> None:
    found = {
        (name, call)
        for name, tree in trees()
        for call, _ in calls(tree)
        if call in OF_OUTPUTS and not name.startswith("tasks/")
    }
    assert found - NO_OUTPUTS.keys() == set(), "ask the task of the model (undoor.tasks)"
    assert NO_OUTPUTS.keys() <= found, "no longer needed here"


def test_inputs_are_made_by_spaces_alone() -> None:
    found = {
        name
        for name, tree in trees()
        for call, node in calls(tree)
        if call in MAKERS and "input_shape" in ast.unparse(node)
    }
    assert found - NO_INPUTS.keys() == {"input_transform.py"}, "use Classifier.examples or level"
