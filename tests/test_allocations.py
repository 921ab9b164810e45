"""Every tensor that core code makes says on which device: one that does not is on the wrong one as
soon as a model is not on the CPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import undoor.vocabulary

ROOT = Path(undoor.vocabulary.__file__).parent
MAKERS = {
    *("arange", "as_tensor", "bernoulli", "empty", "eye", "fftfreq", "from_numpy", "full"),
    *("linspace", "logspace", "multinomial", "normal", "ones", "rand", "randint", "randn"),
    *("randperm", "rfftfreq", "tensor", "tril_indices", "triu_indices", "zeros"),
}
# Rooms in which all is on the CPU: what reads files and data, and what shows results.
ON_CPU = (
    *("cli/", "clean_set/", "load/", "render/", "repairs/"),
    *("text_networks.py", "vision_networks.py"),
)
# Where tensors are moved, and nowhere else.
BORDER = "device.py"


def calls() -> Iterator[tuple[str, ast.Call]]:
    """All calls in the sources, with the file."""
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield name, node


def is_maker(call: ast.Call) -> bool:
    """Whether it makes a tensor of no other one: `torch.zeros`, and not `torch.zeros_like`."""
    function = ast.unparse(call.func)
    return function.startswith("torch.") and function.rpartition(".")[2] in MAKERS


def says_where(call: ast.Call) -> bool:
    """By its keyword, or by keywords that are given together."""
    return any(keyword.arg in ("device", None) for keyword in call.keywords)


def test_no_allocation_in_core_code_lacks_a_device() -> None:
    made = [(name, call) for name, call in calls() if is_maker(call)]
    assert len(made) > 60
    lacking = [
        f"{name}:{call.lineno}: {ast.unparse(call)}"
        for name, call in made
        if not says_where(call) and name != BORDER and not name.startswith(ON_CPU)
    ]
    assert lacking == []


def test_results_come_back_at_one_border() -> None:
    """And what is moved to a device is moved there."""
    moved = [
        f"{name}:{call.lineno}: {ast.unparse(call)}"
        for name, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("cpu", "cuda", "numpy")
        and name != BORDER
        and not (call.func.attr == "numpy" and name.startswith(ON_CPU))
    ]
    assert moved == []


def test_nothing_else_decides_the_arithmetic() -> None:
    asked = [name for name, call in calls() if ast.unparse(call.func).endswith("torch.autocast")]
    # Asking a network in another precision is no choice of one.
    assert sorted(set(asked)) == [BORDER, "scrutiny/asking.py"]
