"""No trigger family, policy, rule, fit or default is named in two files."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from undoor import vocabulary
from undoor.families.latent import LATENT, NAME
from undoor.families.registry import REGISTRY

ROOT = Path(vocabulary.__file__).parent
# A form of triggers in files may have the name of the family that makes them.
KINDS = "kind"
# Words that mean something else there.
OTHERWISE = {
    ("inversion/journalled_search.py", "generator"),  # the state of torch's, in a journal
    ("inversion/journalled_search.py", "margin"),  # of a candidate
    ("scan/report.py", "margin"),
    ("identity/values.py", "generator"),  # a kind of Python objects
    ("identity/preprocessing.py", "first"),  # one of two sizes
    ("serve/onnx_engine.py", "first"),  # one of two sizes
    ("preparation.py", "first"),
    ("triggers/generator.py", "first"),  # a layer
    ("triggers/generator.py", "last"),
}
DEFAULTS = {name for name in vars(vocabulary) if name.startswith("DEFAULT_")}


@functools.cache
def sources() -> dict[str, ast.Module]:
    paths = sorted(ROOT.rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


@functools.cache
def words(tree: ast.Module) -> set[str]:
    """All texts of a file but its docstrings and the kinds of triggers."""
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    prose |= {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(each, ast.Name) and each.id == KINDS for each in node.targets)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    }


def naming(wanted: set[str]) -> dict[str, list[str]]:
    """Which files hold each of these words as a text of its own."""
    found: dict[str, list[str]] = {word: [] for word in wanted}
    for name, tree in sources().items():
        for word in words(tree) & wanted:
            if (name, word) not in OTHERWISE:
                found[word].append(name)
    return found


BY_DEPTH = {family.name for family in LATENT}


@pytest.mark.parametrize("family", [f.name for f in REGISTRY if f.name not in BY_DEPTH])
def test_a_family_is_named_in_its_file_alone(family: str) -> None:
    (files,) = naming({family}).values()
    assert len(files) == 1
    assert files[0].startswith("families/")


def test_latent_families_are_named_by_their_depth() -> None:
    """Their names are put together, so none stands anywhere."""
    found = naming({NAME, *BY_DEPTH})
    assert found.pop(NAME) == ["families/latent.py"]
    assert set(map(tuple, found.values())) == {()}


@pytest.mark.parametrize(
    "word",
    [
        *get_args(vocabulary.Policy),
        *get_args(vocabulary.Rule),
        *get_args(vocabulary.Fit),
        *get_args(vocabulary.Prefer),
        vocabulary.PAIRED_UNBOUNDED,
        vocabulary.SCAN_FILE,
        vocabulary.REPAIR_FILE,
        vocabulary.REPAIR_DESCRIPTION,
        vocabulary.RUN_FILE,
        vocabulary.MODEL_FILE,
        vocabulary.EXPORT_ENTRY,
        vocabulary.FAMILY_GROUP,
        vocabulary.CALIBRATE,
    ],
)
def test_a_word_of_the_vocabulary_is_written_there_alone(word: str) -> None:
    (files,) = naming({word}).values()
    assert files == ["vocabulary.py"]


def test_a_vocabulary_is_listed_once() -> None:
    """A `Literal` of the same words elsewhere would have to be changed with it."""
    known = {
        tuple(get_args(value)): name for name, value in vars(vocabulary).items() if get_args(value)
    }
    again = []
    for name, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                listed = tuple(e.value for e in node.elts if isinstance(e, ast.Constant))
                if listed in known and name != "vocabulary.py":
                    again.append((name, node.lineno, known[listed]))
    assert again == []


@pytest.mark.parametrize("default", sorted(DEFAULTS))
def test_a_default_is_set_once(default: str) -> None:
    short = default.removeprefix("DEFAULT_")
    again = [
        (name, node.lineno)
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id in (default, short)
    ]
    assert [name for name, _ in again] == ["vocabulary.py"]


@pytest.mark.parametrize("parameter", ["fpr", "alpha", "policy", "rule", "fit"])
def test_a_parameter_has_the_default_by_its_name(parameter: str) -> None:
    """Not the number or the word itself."""
    literal = [
        (name, node.lineno)
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for arg, value in given(node)
        if arg == parameter and is_value(value)
    ]
    fields = [
        (name, node.lineno)
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == parameter
        and node.value is not None
        and is_value(node.value)
    ]
    assert literal + fields == []


def is_value(node: ast.expr) -> bool:
    """Whether it is a number or a word as such."""
    return isinstance(node, ast.Constant) and type(node.value) in (int, float, str)


def given(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """The parameters of a function that have a default, with it."""
    positional = [*node.args.posonlyargs, *node.args.args]
    yield from (
        (arg.arg, value)
        for arg, value in zip(reversed(positional), reversed(node.args.defaults), strict=False)
    )
    yield from (
        (arg.arg, value)
        for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if value is not None
    )


def test_the_vocabulary_needs_no_torch() -> None:
    code = (
        "import sys, undoor.vocabulary; "
        "print([name for name in ('torch', 'numpy', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
