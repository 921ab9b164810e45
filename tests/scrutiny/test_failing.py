"""A network that raises errors when it is looked at is never clean, and the reason is the true one;
one that needs batches of one size is refused, and told which size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from helpers.tiny import clean_images, toy_network
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.render.reasons import reason_texts
from undoor.scan import run
from undoor.scan.reason import written
from undoor.scan.search import SearchResult
from undoor.scrutiny import Scrutiny, scrutinise

SHAPE = (1, 8, 8)
X = clean_images(3).images
# Inputs that scrutiny makes up; clean images have no value at either end.
INSIDE = X.clamp(0.01, 0.99)


class Raising(nn.Module):
    """Raises where `when` says so of its inputs and the number of earlier passes."""

    def __init__(self, when: Callable[[Tensor, int], bool], error: Exception | None = None) -> None:
        super().__init__()
        self.net = toy_network(backdoored=True, norm=True)
        self.when, self.error = when, error or RuntimeError("not like this")
        self.passes = [0]

    def forward(self, x: Tensor) -> Tensor:
        self.passes[0] += 1
        if self.when(x, self.passes[0]):
            raise self.error
        return self.net(x)


def of_copies(x: Tensor, _passes: int) -> bool:
    return len(x) == 7 and bool((x == x[:1]).all())


def watched(_x: Tensor, _passes: int) -> bool:
    return _get_current_dispatch_mode() is not None


def of_doubles(x: Tensor, _passes: int) -> bool:
    return x.dtype == torch.float64


def in_inference(_x: Tensor, _passes: int) -> bool:
    return torch.is_inference_mode_enabled()


def saturated(x: Tensor, _passes: int) -> bool:
    return bool((x == 1).any())


def after_many(_x: Tensor, passes: int) -> bool:
    return passes > 12


def found_in(network: nn.Module) -> Scrutiny:
    return scrutinise(Classifier(network.eval(), input_shape=SHAPE), INSIDE)


def test_copies_of_one_input_that_fail_are_named() -> None:
    (found,) = (item for item in found_in(Raising(of_copies)).graph if item.code == "fails")
    assert found.sentence == (
        "the network raises an error where it should predict "
        "(RuntimeError: not like this at 7 copies of one input)"
    )


def test_one_that_raises_while_it_is_watched_is_named() -> None:
    (found,) = (item for item in found_in(Raising(watched)).graph if item.code == "disconnected")
    assert "RuntimeError: not like this, while it was traced" in found.what


@pytest.mark.parametrize(
    ("when", "code"),
    [
        (of_doubles, "fails"),
        (in_inference, "inference_mode"),
        (saturated, "fails"),
        (after_many, "fails"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("error", [RuntimeError("no"), ValueError("no")], ids=repr)
def test_errors_of_a_network_are_disagreements(
    when: Callable[[Tensor, int], bool], code: str, error: Exception
) -> None:
    found = [item for item in found_in(Raising(when, error)).disagreements if item.code == code]
    assert found
    assert f"{type(error).__name__}: no" in found[0].sentence


def test_a_network_that_raises_at_once_says_so() -> None:
    found = found_in(Raising(lambda x, passes: passes > 2))
    told = {item.code for item in found.graph} | {item.code for item in found.disagreements}
    assert told >= {"fails"}


class InHalves(nn.Module):
    """An operator that bfloat16 and float64 do not have, as many networks have one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = toy_network(backdoored=True, norm=True)
        self.weight: Tensor
        self.register_buffer("weight", torch.eye(8))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x @ self.weight.float())


def test_layers_of_one_type_of_numbers_are_no_reason() -> None:
    assert found_in(InHalves()).sentences == ()


def test_views_of_the_input_are_no_reason() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.view(-1, 64))

    assert found_in(Flat()).sentences == ()


def test_a_scan_is_never_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        run, "search_and_decide", lambda *_: SearchResult("clean", (written("small enough"),))
    )
    network = Raising(of_copies).eval()
    report = run.scan(Classifier(network, input_shape=SHAPE), clean_images())
    assert report.verdict == "inconclusive"
    assert any("7 copies of one input" in reason for reason in reason_texts(report))


# Networks that need one size of batch


@pytest.mark.parametrize("size", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("by_view", [True, False])
def test_a_fixed_batch_is_refused_with_its_size(size: int, by_view: bool) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = toy_network(backdoored=True, norm=True)

        def forward(self, x: Tensor) -> Tensor:
            if by_view:
                return self.net(x.view(size, *SHAPE))
            if len(x) != size:
                raise ValueError("another size")
            return self.net(x)

    refused = 3 if size == 2 else 2
    expected = f"takes batches of {size}, but fails on batches of {refused} .*dynamic batch axis"
    with pytest.raises(UndoorError, match=expected):
        Classifier(Fixed(), input_shape=SHAPE)


def test_a_network_that_takes_no_batch_at_all_is_not_said_to_need_a_size() -> None:
    with pytest.raises(UndoorError, match=r"failed on an input of shape .2, 1, 8, 8.: .*check"):
        Classifier(nn.Conv2d(3, 4, 3), input_shape=SHAPE)
