"""Modules as facts: what changes a prediction is there, what a run changes is not."""

from __future__ import annotations

import functools
import operator
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.identity.source import code_of, is_installed


def classifier(*layers: nn.Module) -> Classifier:
    torch.manual_seed(0)
    head = nn.Linear(16, 3)
    network = nn.Sequential(nn.Flatten(), *layers, head)
    return Classifier(network, input_shape=(1, 4, 4))


class With(nn.Module):
    """Holds whatever it is given."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return x


def linear(seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(2, 2)


def scaled(by: float) -> Callable[[Tensor], Tensor]:
    return lambda x: x * by


class Holder:
    """Computes with what it was given."""

    def __init__(self, by: float) -> None:
        self.by = by
        self.itself = self

    def scaled(self, x: Tensor) -> Tensor:
        return x * self.by


class Slotted:
    __slots__ = ("__by", "unset")

    def __init__(self, by: float) -> None:
        self.__by = by

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.__by


class SlottedFurther(Slotted):
    """With a dictionary besides."""


PAIRS: dict[str, tuple[Any, Any]] = {
    "number": (1, 2),
    "kind of number": (1, 1.0),
    "yes or no": (True, False),
    "text": ("mean", "max"),
    "list": ([1, 2], [2, 1]),
    "mapping": ({"a": 1}, {"a": 2}),
    "namespace": (SimpleNamespace(a=1), SimpleNamespace(a=2)),
    "tensor": (torch.zeros(2), torch.ones(2)),
    "tensor in a list": ([torch.zeros(2)], [torch.ones(2)]),
    "half": (torch.zeros(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.bfloat16)),
    "hidden module": ([linear(0)], [linear(1)]),
    "function": (torch.relu, torch.sigmoid),
    "partial": (functools.partial(torch.add, other=1), functools.partial(torch.add, other=2)),
    "closure": (scaled(1), scaled(2)),
    "class": (nn.ReLU, nn.GELU),
    "method": (Holder(1).scaled, Holder(2).scaled),
    "method of a hidden module": (linear(0).forward, linear(1).forward),
    "slots": (Slotted(1), Slotted(2)),
    "slots of a base": (SlottedFurther(1), SlottedFurther(2)),
    "method in C": (torch.tensor(1.0).mul, torch.tensor(2.0).mul),
    "method of a number": ((1.0).__mul__, (2.0).__mul__),
    "queue": (deque([1]), deque([2])),
    "range": (range(2), range(3)),
    "picker": (operator.itemgetter(0), operator.itemgetter(1)),
    "type of numbers": (torch.float32, torch.float64),
}


@pytest.mark.parametrize("name", PAIRS)
def test_attributes(name: str) -> None:
    one, other = (classifier(With(value)).fingerprint() for value in PAIRS[name])
    assert one != other
    assert classifier(With(PAIRS[name][0])).fingerprint() == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.ReLU(), nn.LeakyReLU()),
        (nn.LeakyReLU(0.01), nn.LeakyReLU(0.02)),
        (nn.BatchNorm1d(16, eps=1e-5), nn.BatchNorm1d(16, eps=1e-3)),
        (nn.Identity(), nn.Sequential()),
        (nn.Softplus(beta=1), nn.Softplus(beta=2)),
        (nn.GELU(), nn.GELU(approximate="tanh")),
    ],
)
def test_settings_of_layers(one: nn.Module, other: nn.Module) -> None:
    assert classifier(one).fingerprint() != classifier(other).fingerprint()


def test_buffers_that_no_checkpoint_has() -> None:
    def made(value: float) -> nn.Module:
        module = nn.Identity()
        module.register_buffer("pattern", torch.full((2,), value), persistent=False)
        return module

    assert classifier(made(0)).fingerprint() != classifier(made(1)).fingerprint()


def test_hooks() -> None:
    hooked = nn.ReLU()
    hooked.register_forward_hook(lambda module, inputs, output: output + 1)
    assert classifier(hooked).fingerprint() != classifier(nn.ReLU()).fingerprint()


def test_a_forward_of_its_own() -> None:
    changed = nn.ReLU()
    changed.forward = torch.sigmoid  # type: ignore[method-assign]
    assert classifier(changed).fingerprint() != classifier(nn.ReLU()).fingerprint()


def test_modules_that_know_each_other() -> None:
    """Neither endless nor by chance."""
    parent, child = With(None), With(None)
    parent.value, child.value = [child], [parent]
    found = [classifier(parent).fingerprint() for _ in range(2)]
    assert found[0] == found[1]


class Counting(nn.Module):
    """What a run changes is not what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.seen: dict[int, int] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen[len(x)] = self.calls
        return x


def test_counters_and_caches() -> None:
    model = classifier(Counting())
    before = model.fingerprint()
    for count in (1, 5, 3):
        model(torch.zeros(count, 1, 4, 4))
    assert model.fingerprint() == before
    assert classifier(nn.Identity()).fingerprint() != before


def test_folders_are_not_hashed(tmp_path: Path) -> None:
    one, other = (classifier(With(tmp_path / part / "x.npy")) for part in "ab")
    assert one.fingerprint() == other.fingerprint()
    third = classifier(With(tmp_path / "a" / "y.npy"))
    assert third.fingerprint() != one.fingerprint()


def test_modules_of_python_that_are_gone() -> None:
    """As of an architecture's file, which is imported by a name that its place gives it."""
    kinds = [type("Net", (nn.ReLU,), {"__module__": name}) for name in ("made_for_a", "made_for_b")]
    one, other = (classifier(kind()).fingerprint() for kind in kinds)
    assert one == other != classifier(nn.ReLU()).fingerprint()


# Where code comes from


def test_installed_code_is_not_hashed() -> None:
    assert [code_of(item) for item in (nn.Linear, torch.optim.SGD, Path, Classifier)] == [None] * 4
    assert code_of(torch.Tensor) is None
    assert is_installed(nn.__file__)
    assert not is_installed(__file__)


def test_code_of_a_file() -> None:
    found = code_of(With)
    assert found is not None
    assert found.path == __file__
    assert code_of(linear) == found


def test_code_without_a_file() -> None:
    """As in a notebook, or made by exec."""

    def made(body: str) -> type:
        space: dict[str, Any] = {"__name__": "nowhere"}
        exec(f"class Made:\n    def forward(self, x):\n        return {body}", space)
        cls: type = space["Made"]
        return cls

    one, same, other = (code_of(made(body)) for body in ("x + 1", "x + 1", "x + 2"))
    assert one is not None
    assert one == same != other
    assert one.path == ""


def test_decorators_of_packages_do_not_hide_code() -> None:
    class Decorated(nn.Module):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return x

    found = code_of(Decorated)
    assert found is not None
    assert found.path == __file__
