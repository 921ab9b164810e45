"""Networks as people hold them: compiled, spread over devices, in half precision, with hooks."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from helpers.made_repairs import make_repair
from helpers.tiny import assert_unchanged, random_classifier, random_inputs, snapshot, storages
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.sites import find_sites, is_opaque
from undoor.sites.heads import find_heads
from undoor.unwrapped import unwrapped

BARE = random_classifier("conv_norm")
X = random_inputs(BARE, 9)


def network() -> nn.Sequential:
    made = copy.deepcopy(BARE.network)
    assert isinstance(made, nn.Sequential)
    return made


def classifier(net: nn.Module) -> Classifier:
    return Classifier(net, input_shape=BARE.input_shape)


def compiled(net: nn.Module) -> nn.Module:
    made = torch.compile(net, backend="eager")
    assert isinstance(made, nn.Module)
    return made


def compiled_and_run() -> nn.Module:
    made = compiled(network())
    made(X)
    return made


def compiled_inside() -> nn.Module:
    net = network()
    net[3] = compiled(net[3])
    net[1] = compiled(net[1])
    net(X)
    return net


def compiled_in_place() -> nn.Module:
    net = network()
    net.compile(backend="eager")
    net(X)
    return net


def compiled_forward() -> nn.Module:
    net = network()
    net.forward = torch.compile(net.forward, backend="eager")  # type: ignore[method-assign]
    net(X)
    return net


def compiled_twice() -> nn.Module:
    net = network()
    net[3] = nn.DataParallel(compiled(net[3]))
    return compiled(nn.DataParallel(net))


def forward_of_its_own() -> nn.Module:
    net = network()
    net.forward = types.MethodType(nn.Sequential.forward, net)  # type: ignore[method-assign]
    return net


@pytest.mark.parametrize(
    "make",
    [
        lambda: compiled(network()),
        compiled_and_run,
        compiled_inside,
        compiled_in_place,
        compiled_forward,
        compiled_twice,
        forward_of_its_own,
        lambda: nn.DataParallel(network()),
    ],
)
def test_wrapped_networks(make: Callable[[], nn.Module]) -> None:
    """Their sites and their head are found, a repair of the bare one fits, and corrections work."""
    given = make()
    with torch.no_grad():
        own = given(X)
    made = classifier(given)
    assert torch.equal(made(X), BARE(X))
    assert find_sites(made) == find_sites(BARE)
    assert [head.name for head in find_heads(made)] == ["network.5"]
    repair = make_repair(BARE)
    for a, b in zip(guard(made, repair).logits(X), guard(BARE, repair).logits(X), strict=True):
        torch.testing.assert_close(a, b)
    for value in made.network.parameters():
        value.zero_()
    assert not torch.equal(made(X), BARE(X)), "the copy runs other weights than its own"
    with torch.no_grad():
        assert torch.equal(given(X), own)


def test_the_network_itself_where_nothing_is_around_it() -> None:
    net = network()
    before = snapshot(net)
    assert unwrapped(net) is net
    assert unwrapped(nn.DataParallel(net)) is net
    outer = nn.Sequential(nn.DataParallel(net))
    assert not storages(unwrapped(outer)) & storages(net)
    assert_unchanged(net, before)
    assert isinstance(outer[0], nn.DataParallel)


def test_scripts_with_gradients_on() -> None:
    with torch.enable_grad():
        script = torch.jit.script(network().requires_grad_(True))
        made = classifier(script)
    assert is_opaque(made)
    assert not any(value.requires_grad for value in made.parameters())
    torch.testing.assert_close(made(X), BARE(X))
    x = X.clone().requires_grad_()
    made(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    made = classifier(network().to(dtype))
    assert made(X).dtype == torch.float32
    torch.testing.assert_close(made(X), BARE(X), atol=0.05, rtol=0.05)


def test_hooks_that_change_answers_stay() -> None:
    net = network()
    net.register_forward_hook(lambda _m, _x, out: out + 1)
    net[0].register_forward_pre_hook(lambda _m, x: (x[0] * 2,))
    with torch.no_grad():
        expected = net(X)
    torch.testing.assert_close(classifier(net)(X), expected)


def test_hooks_that_fail() -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no device here\nsecond line")

    net = network()
    net.register_forward_hook(fail)
    with pytest.raises(UndoorError, match=r"the network failed on an input .*no device here;"):
        classifier(net)


class Negative(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


def test_parametrizations() -> None:
    net = network()
    parametrize.register_parametrization(net[0], "weight", Negative())
    with torch.no_grad():
        expected = net(X)
    made = classifier(net)
    torch.testing.assert_close(made(X), expected)
    torch.testing.assert_close(made.fast_copy()(X), expected)


class FullyShardedDataParallel(nn.Module):
    """A wrapper of that name."""


def on_meta() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(108, 4, device="meta"))


def held_by_its_forward() -> nn.Module:
    net = network()
    inner = net.forward
    net.forward = lambda x: inner(x)  # type: ignore[method-assign] # noqa: PLW0108
    return net


def wrapped_by_a_decorator() -> nn.Module:
    net = network()
    inner = net.forward

    @functools.wraps(inner)
    def forward(x: Tensor) -> Tensor:
        return inner(x)

    net.forward = forward  # type: ignore[method-assign]
    return net


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lambda x: x, "expected a Module, got function; give the network itself, a torch"),
        (lambda: None, "expected a Module, got None; give the network itself, a torch"),
        (
            lambda: nn.Sequential(FullyShardedDataParallel()),
            "spread over processes .FullyShardedDataParallel.; gather its full state dict",
        ),
        (on_meta, "the network has no weights .1.weight is on the meta device.; load"),
        (held_by_its_forward, "the forward of a Sequential was replaced by a function that holds"),
        (wrapped_by_a_decorator, "the forward of a Sequential was replaced by a function"),
    ],
)
def test_refusals(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        classifier(make())
