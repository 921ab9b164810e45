"""Functions of an exported graph become the modules that they were."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import fx, nn

from helpers import graph_work as work
from undoor.errors import UndoorError
from undoor.load.layers import with_layers


def graph_of(network: nn.Module, *, decomposed: bool = False) -> fx.GraphModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.rand(2, *work.SHAPE),)
        program = torch.export.export(network, example, dynamic_shapes=work.FREE)
        return (program.run_decompositions() if decomposed else program).module()


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("softmax", [False, True])
def test_same_answers_names_and_weights(decomposed: bool, softmax: bool) -> None:
    network = work.Mixed(softmax=softmax).eval()
    made = with_layers(graph_of(network, decomposed=decomposed))
    x = torch.rand(4, *work.SHAPE)
    torch.testing.assert_close(made(x), network(x))
    assert made.state_dict().keys() == network.state_dict().keys()
    assert not made.training
    kinds = {name: type(module) for name, module in network.named_modules()}
    known = {n: type(m) for n, m in made.named_modules() if n in kinds and kinds[n] is type(m)}
    assert {"first.0", "first.1", "same", "shared", "layer", "hidden.0", "out"} <= known.keys()


def test_the_program_stays_as_it_was() -> None:
    program = graph_of(work.Mixed().eval())
    before = str(program.graph)
    with_layers(program)
    assert str(program.graph) == before


def test_a_weight_that_is_computed_stays_a_function() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(5, 64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x.flatten(1), self.weight * 2)

    network = Scaled()
    made = with_layers(graph_of(network))
    x = torch.rand(3, *work.SHAPE)
    torch.testing.assert_close(made(x), network(x))
    assert not [m for m in made.modules() if isinstance(m, nn.Linear)]


class Product(nn.Module):
    """A last layer that is written as a product with a stored weight."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.rand(4, 64) - 0.5)
        self.turned = nn.Parameter(torch.rand(64, 4) - 0.5)
        self.bias = nn.Parameter(torch.rand(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        if self.kind == "turned":
            return x @ self.turned + self.bias
        if self.kind == "transposed":
            return torch.mm(x, self.weight.t())
        if self.kind == "addmm":
            return torch.addmm(self.bias, x, self.turned)
        if self.kind == "scaled":
            return torch.addmm(self.bias, x, self.turned, alpha=2)
        return nn.functional.linear(x, self.weight, self.bias)


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("kind", ["turned", "transposed", "addmm", "scaled", "linear"])
def test_products_with_a_stored_weight_are_linear_layers(kind: str, decomposed: bool) -> None:
    network = Product(kind)
    made = with_layers(graph_of(network, decomposed=decomposed))
    x = torch.rand(3, *work.SHAPE)
    torch.testing.assert_close(made(x), network(x))
    layers = [m for m in made.modules() if isinstance(m, nn.Linear)]
    assert len(layers) == (0 if kind == "scaled" else 1)


@pytest.mark.parametrize("decomposed", [False, True])
def test_activations_may_lie_in_any_order(decomposed: bool) -> None:
    """A decomposed graph takes views, which the channels at the end would break."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    made = with_layers(graph_of(network, decomposed=decomposed))
    conv = next(m for m in made.modules() if isinstance(m, nn.Conv2d))
    conv.register_forward_hook(lambda *args: args[2].contiguous(memory_format=torch.channels_last))
    x = torch.rand(3, *work.SHAPE)
    torch.testing.assert_close(made(x), network(x))


def test_training_mode_is_refused() -> None:
    with pytest.raises(UndoorError, match=r"model.eval\(\) and export it again"):
        with_layers(graph_of(work.Mixed().train()))


def test_several_outputs_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.flatten(1), x

    with pytest.raises(UndoorError, match="returns 2 things"):
        with_layers(graph_of(Two()))
