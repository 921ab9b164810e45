"""Networks that no graph can hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from helpers.made_repairs import make_repair
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.export.graph import GuardedGraph
from undoor.export.trace import trace
from undoor.guard import guard


class Decides(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


class Fixed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), 8) if len(x) == 2 else x.view(len(x), 8) + 1


def traced(layer: nn.Module) -> ExportedProgram:
    model = Classifier(nn.Sequential(layer, nn.Linear(8, 4)), input_shape=(8,))
    graph = GuardedGraph(guard(model, make_repair(model, (1,))))
    return trace(graph, graph.axes, torch.rand(2, 8))


@pytest.mark.parametrize("layer", [Decides(), Fixed()])
def test_refused(layer: nn.Module) -> None:
    with pytest.raises(UndoorError, match=r"cannot make one graph.*undoor\.guard instead"):
        traced(layer)


def test_no_trace_of_the_machine() -> None:
    program = traced(nn.ReLU())
    assert not any("stack_trace" in node.meta for node in program.graph.nodes)
    assert "batch" in str(program.graph_signature) or program.range_constraints
