"""ONNX files, converted and held to ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import undoor
from helpers import graph_work as work
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.errors import UndoorError
from undoor.load.hub import from_library
from undoor.load.onnx_network import read
from undoor.sites import find_sites


class Plain(nn.Module):
    """What exporters of any age can write."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2)
        )
        self.out = nn.Linear(6 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(x).reshape(x.shape[0], -1))


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_same_answers(tmp_path: Path, dynamo: bool, batch: int | None) -> None:
    network = Plain().eval()
    found = read(work.onnx(network, tmp_path / "m.onnx", batch=batch, dynamo=dynamo))
    assert found.input_shape == work.SHAPE
    for count in (1, 3, 8):
        x = torch.rand(count, *work.SHAPE)
        torch.testing.assert_close(found.network(x), network(x), atol=1e-5, rtol=1e-4)


class Attentive(nn.Module):
    """What a vision transformer consists of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.first = nn.Parameter(torch.randn(1, 1, 8))
        layer = nn.TransformerEncoderLayer(
            8, 2, 16, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.out = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.out(self.body(torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1))[:, 0])


def layers(activation: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    body = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), activation, nn.MaxPool2d(2))
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))


class Split(nn.Module):
    """Channels in parts, the last smaller: Split with a number of outputs from opset 18 on."""

    def __init__(self, *between: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.out = nn.Conv2d(1, 7, 3), nn.Linear(7, 5)
        self.between = nn.Sequential(*between)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two, three = self.between(self.conv(x)).chunk(3, 1)
        return self.out(torch.cat([three, one, two], 1).mean((2, 3)))


# Each export takes a second, so that a network holds several of the operators of its opset.
NEWER: dict[str, tuple[Callable[[], nn.Module], int | None]] = {
    "GELU, also by tanh": (lambda: layers(nn.Sequential(nn.GELU(), nn.GELU("tanh"))), None),
    "GELU, 24": (lambda: layers(nn.GELU()), 24),
    "Mish and Split, 18": (lambda: Split(nn.Mish()), 18),
    "GroupNorm, SiLU, Hardswish and Split, 23": (
        lambda: Split(nn.GroupNorm(7, 7), nn.SiLU(), nn.Hardswish()),
        23,
    ),
    "MLP": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 5)), 20),
    "transformer": (Attentive, None),
    "transformer, 23": (Attentive, 23),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NEWER)
def test_operators_of_newer_opsets(tmp_path: Path, name: str) -> None:
    make, opset = NEWER[name]
    network = make().eval()
    file = work.onnx(network, tmp_path / "m.onnx", opset=opset)
    classifier, x = undoor.load(file), torch.rand(3, *work.SHAPE)
    torch.testing.assert_close(classifier(x), network(x), atol=1e-5, rtol=1e-4)
    assert find_sites(classifier)


def test_a_quantised_graph_is_named(tmp_path: Path) -> None:
    file = by_hand(tmp_path / "m.onnx")
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(file, tmp_path / "q.onnx")
    with pytest.raises(UndoorError, match=r"quantised .*(Dyn|Mat|Dequ|Conv).*floating point"):
        undoor.load(tmp_path / "q.onnx")


def by_hand(file: Path, *, kind: str = "Relu", domain: str = "", side: int | str = 8) -> Path:
    """A file as another framework would write it: layers by name, weights as initialisers."""
    rng = np.random.default_rng(0)
    arrays = {
        "kernel": rng.normal(size=(4, 1, 3, 3)),
        "scale": np.ones(4),
        "shift": np.zeros(4),
        "mean": rng.normal(size=4),
        "var": np.ones(4),
        "dense": rng.normal(size=(4 * 36, 5)),
    }
    stored = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in arrays.items()]
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["a"]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"]),
        helper.make_node(kind, ["b"], ["c"], domain=domain),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "dense"], ["e"]),
    ]
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, side, side])],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, ["n", 5])],
        stored,
    )
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), file)
    return file


def test_written_by_hand(tmp_path: Path) -> None:
    classifier = undoor.load(by_hand(tmp_path / "m.onnx"))
    assert classifier.input_shape == (1, 8, 8)
    assert [m for m in classifier.modules() if isinstance(m, nn.BatchNorm2d)]


def test_open_sides_need_a_shape(tmp_path: Path) -> None:
    file = by_hand(tmp_path / "m.onnx", side="side")
    with pytest.raises(UndoorError, match="shape is missing"):
        undoor.load(file)
    assert undoor.load(file, input_shape=(1, 8, 8)).num_classes == 5
    with pytest.raises(UndoorError, match="cannot be used"):
        undoor.load(file, input_shape=(1, 9, 9))


def test_an_operator_without_a_counterpart(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"cannot be converted to PyTorch.*state dict"):
        read(by_hand(tmp_path / "m.onnx", kind="Hardmax"))


def test_foreign_operators_are_not_opened(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="native code"):
        undoor.load(by_hand(tmp_path / "m.onnx", kind="Relu", domain="evil.corp"))


def test_a_guarded_model_is_refused(tmp_path: Path) -> None:
    model = random_classifier("mlp_norm")
    file = undoor.export(model, make_repair(model), tmp_path / "g.onnx").file
    with pytest.raises(UndoorError, match="original of this guarded model"):
        undoor.load(file)


def test_another_answer_than_onnx_runtime_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (convert,) = from_library("onnx2torch", "convert", extra="onnx-models")
    monkeypatch.setattr(
        "onnx2torch.convert", lambda model: nn.Sequential(convert(model), nn.Softsign())
    )
    sizes: tuple[tuple[int | str, tuple[int, ...] | None], ...] = ((8, None), ("side", (1, 8, 8)))
    for sides, shape in sizes:
        file = by_hand(tmp_path / "m.onnx", side=sides)
        with pytest.raises(UndoorError, match="returns scores that differ by"):
            undoor.load(file, input_shape=shape)


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        (["b", 3, 20_000, 20_000], "more than 67,108,864 numbers"),
        (["b", "c", 20_000, 20_000], "more than 67,108,864 numbers"),
        (["b", *[1] * 9], "has 9 axes"),
        ([10**9, 3, 8, 8], "free batch axis"),
    ],
)
def test_inputs_are_images(tmp_path: Path, sizes: list[str | int], why: str) -> None:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 5])
    graph = helper.make_graph([helper.make_node("Flatten", ["x"], ["y"])], "g", [given], [scores])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    with pytest.raises(UndoorError, match=why):
        read(tmp_path / "m.onnx")
