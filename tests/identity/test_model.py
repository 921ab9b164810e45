"""Everything that predictions depend on is in the hash, and nothing else."""

from __future__ import annotations

import copy
import json
import operator
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers import graph_work as work
from helpers.model_folders import BRANCH, HONEST, folder_with
from helpers.tiny import BOUNDS, SIDE, random_classifier, toy_network
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import Guarded
from undoor.identity.digests import require_sha256
from undoor.identity.model import ModelIdentity, exact_identity, identify
from undoor.identity.tensors import tensor_sha256, weights_sha256
from undoor.origin import CodeFile, Origin
from undoor.passes import Capacity
from undoor.resizing import Resizing


class Branching(nn.Module):
    """The same weights, and one white pixel decides."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) + 100 * (x.amax((2, 3)) - 0.99).relu()


class Plain(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


WRITE: dict[str, work.Write] = {"pt2": work.pt2, "onnx": work.onnx, "script": work.script}


@pytest.mark.parametrize("kind", WRITE)
def test_a_hidden_branch_is_another_model(tmp_path: Path, kind: str) -> None:
    """The weights are the same, and so are the predictions of almost every input."""
    files = {"honest": Plain(work.toy()).eval(), "hidden": Branching(work.toy()).eval()}
    ends = {"pt2": "pt2", "onnx": "onnx", "script": "pt"}
    models = [
        undoor.load(
            WRITE[kind](network, tmp_path / f"{name}.{ends[kind]}"), input_shape=(1, SIDE, SIDE)
        )
        for name, network in files.items()
    ]
    honest, hidden = map(exact_identity, models)
    assert honest.sha256 != hidden.sha256
    assert honest.graph_sha256 != hidden.graph_sha256
    if kind != "onnx":  # whose constants become buffers
        assert honest.weights_sha256 == hidden.weights_sha256
    assert "graph" in honest.differences(hidden)
    assert models[0].fingerprint() == honest.sha256


@pytest.mark.parametrize("trace", [torch.fx.symbolic_trace, torch.jit.script])
def test_a_graph_that_no_file_brings(trace: Any) -> None:
    def classifier(network: nn.Module) -> Classifier:
        return Classifier(
            trace(network.eval().requires_grad_(False)), input_shape=(1, SIDE, SIDE), bounds=BOUNDS
        )

    honest, hidden = classifier(Plain(work.toy())), classifier(Branching(work.toy()))
    assert weights_sha256(honest) == weights_sha256(hidden)
    assert honest.fingerprint() != hidden.fingerprint()
    assert classifier(Plain(work.toy())).fingerprint() == honest.fingerprint()
    assert copy.deepcopy(honest).fingerprint() == honest.fingerprint()


def test_the_code_is_hashed_and_its_place_is_not(tmp_path: Path) -> None:
    one = undoor.load(folder_with(tmp_path / "a", HONEST), trust_code=True)
    same = undoor.load(folder_with(tmp_path / "b" / "c", HONEST), trust_code=True)
    other = undoor.load(folder_with(tmp_path / "d", BRANCH), trust_code=True)
    assert one.fingerprint() == same.fingerprint()
    assert weights_sha256(one) == weights_sha256(other)
    assert one.fingerprint() != other.fingerprint()
    assert exact_identity(one).differences(exact_identity(other)) == ("code (net.py)",)


SWITCH = (
    HONEST.replace("class Net", "MODE = {}\n\nclass Net")
    + """
def honest(**options):
    MODE.update(options)
    return Net()

def hidden():
    MODE["hidden"] = True
    return Net()
"""
)


def test_what_was_called_and_with_what(tmp_path: Path) -> None:
    """Arguments and names may decide what no module shows."""
    weights = folder_with(tmp_path / "a", SWITCH).parent / "w.safetensors"

    def loaded(name: str, **arguments: object) -> ModelIdentity:
        architecture = f"{weights.parent / 'net.py'}:{name}"
        return exact_identity(
            undoor.load(
                weights, input_shape=(3, 4, 4), architecture=architecture, arguments=arguments
            )
        )

    honest = loaded("honest")
    assert loaded("honest") == honest
    for other in (loaded("hidden"), loaded("honest", hidden=True)):
        assert honest.differences(other) == ("the architecture's callable or its arguments",)
        assert honest.sha256 != other.sha256


def test_a_callable_of_python(tmp_path: Path) -> None:
    weights = folder_with(tmp_path / "a", HONEST).parent / "w.safetensors"

    def net(*, deep: bool = False) -> nn.Module:
        network = nn.Sequential()
        network.add_module("flat", nn.Flatten())
        network.add_module("head", nn.Linear(48, 3))
        return network

    def loaded(**options: Any) -> ModelIdentity:
        return exact_identity(undoor.load(weights, input_shape=(3, 4, 4), **options))

    one = loaded(architecture=net)
    assert [item.path for item in one.code] == [Path(__file__).name]
    assert loaded(architecture=net) == one
    assert loaded(architecture=net, arguments={"deep": True}).sha256 != one.sha256
    finished = loaded(architecture=net())
    assert (finished.call_sha256, finished.code) == (None, ())


def test_the_order_of_the_files_is_not_hashed() -> None:
    files = [CodeFile("/x/a.py", "a" * 64), CodeFile("/x/b.py", "b" * 64)]
    one, two = random_classifier("mlp"), random_classifier("mlp")
    one.origin = Origin(code=(files[0], files[1]))
    two.origin = Origin(code=(files[1], CodeFile("/y/renamed.py", "a" * 64)))
    assert one.fingerprint() == two.fingerprint() != random_classifier("mlp").fingerprint()
    assert [item.path for item in exact_identity(one).code] == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("bounds = [0, 255]", "bounds (expected [0.0, 1.0], got [0.0, 255.0])"),
        ("scale = 0.5", "scale (expected 1.0, got 0.5)"),
        ("mean = [0.5]", "mean (expected [0.0, 0.0, 0.0], got [0.5])"),
    ],
)
def test_preprocessing_is_named(tmp_path: Path, extra: str, named: str) -> None:
    plain = exact_identity(undoor.load(folder_with(tmp_path / "a", HONEST), trust_code=True))
    other = exact_identity(
        undoor.load(folder_with(tmp_path / "b", HONEST, extra=extra), trust_code=True)
    )
    assert plain.sha256 != other.sha256
    assert plain.differences(other) == (named,)


def test_resizing_is_hashed(make_classifier: Any) -> None:
    straight = make_classifier()
    cut = make_classifier(resizing=Resizing((4, 4), first=8))
    assert weights_sha256(straight) == weights_sha256(cut)
    assert straight.fingerprint() != cut.fingerprint()
    (difference,) = exact_identity(straight).differences(exact_identity(cut))
    assert difference.startswith("resizing")


def test_weights_are_named() -> None:
    one, two = (exact_identity(random_classifier("conv_norm", seed)) for seed in (0, 1))
    assert one.differences(two) == ("weights",)


def test_class_names_are_not_hashed(make_classifier: Any) -> None:
    """The contract of a repair holds them; a name changes no prediction."""
    named = make_classifier(class_names=["a", "b", "c"])
    assert named.fingerprint() == make_classifier().fingerprint()


@pytest.mark.parametrize("kind", ["conv_norm", "mlp_norm"])
def test_nothing_that_is_done_with_it_changes_it(kind: str) -> None:
    classifier = random_classifier(kind)
    before = classifier.fingerprint()
    twins = [
        classifier.limited(Capacity(2, 4)),
        classifier.fast_copy(),
        copy.deepcopy(classifier),
        classifier.limited(None).fast_copy(),
    ]
    for twin in twins:
        twin.origin = classifier.origin
        assert twin.fingerprint() == before
    one = torch.ones(classifier.input_shape)
    guarded = Guarded(classifier, {1: {"entry": Correction(one, 0 * one, -one, one)}}, {1: 0.0})
    guarded(torch.rand(5, *classifier.input_shape))
    assert classifier.fingerprint() == guarded.original.fingerprint() == before


def test_copies_keep_the_origin() -> None:
    classifier = random_classifier("conv")
    classifier.origin = Origin((CodeFile("net.py", "c" * 64),), "d" * 64)
    for twin in (classifier.limited(None), classifier.fast_copy(), copy.deepcopy(classifier)):
        assert twin.origin == classifier.origin
        assert twin.fingerprint() == classifier.fingerprint()


def test_a_scan_and_a_guard_leave_it(toy_report: Any, toy_repair: Any) -> None:
    network = toy_network(backdoored=True, norm=True)
    classifier = Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)
    assert toy_report.identity == identify(classifier)
    assert toy_repair.identity == toy_report.identity
    undoor.guard(classifier, toy_repair)
    assert classifier.fingerprint() == toy_report.fingerprint == toy_repair.fingerprint


SCRIPT = """\
import json, sys, undoor
from undoor.identity.model import identify
shape = (1, 8, 8)
print(json.dumps([identify(undoor.load(f, **json.loads(o))).to_json()
                  for f, o in json.loads(sys.argv[1])]))
"""


def test_equal_in_every_process(tmp_path: Path) -> None:
    """Whatever the seed of Python's hashes, wherever the files lie."""
    shaped = json.dumps({"input_shape": [1, SIDE, SIDE]})
    toy = Branching(work.toy()).eval()
    files = [
        (str(folder_with(tmp_path / "a", BRANCH)), '{"trust_code": true}'),
        (str(work.pt2(toy, tmp_path / "m.pt2")), "{}"),
        (str(work.onnx(toy, tmp_path / "m.onnx")), "{}"),
        (str(work.script(toy, tmp_path / "m.pt")), shaped),
    ]
    # Python's own seed in this process is drawn, or is this one.
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    paths = [str(Path(undoor.__file__).parents[1]), str(Path(__file__).parents[1])]
    run = subprocess.run(
        [sys.executable, "-c", f"from helpers import hub_work\n{SCRIPT}", json.dumps(files)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(paths)},
    )
    here = [identify(undoor.load(f, **json.loads(o))).to_json() for f, o in files]
    assert json.loads(run.stdout) == json.loads(json.dumps(here))


class Stateful(Plain):
    """Whose checkpoints have an entry that is no tensor, of which no attribute tells."""

    def __init__(self, network: nn.Module, state: Any) -> None:
        super().__init__(network)
        self.read = state

    def get_extra_state(self) -> Any:
        return {"value": self.read}

    def set_extra_state(self, state: Any) -> None:
        self.read = state["value"]


def with_buffer(buffer: torch.Tensor) -> Classifier:
    network = work.toy()
    network.register_buffer("held", buffer)
    return Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)


def quantised(values: torch.Tensor) -> torch.Tensor:
    return torch.quantize_per_tensor(values, 0.5, 0, torch.qint8)


def sparse(values: torch.Tensor) -> torch.Tensor:
    return values.to_sparse()


@pytest.mark.filterwarnings("ignore:torch.quantize_per", "ignore:TypedStorage")
@pytest.mark.parametrize("change", [lambda values: 2 * values, lambda values: values.flip(0)])
@pytest.mark.parametrize("kind", [sparse, quantised])
def test_sparse_and_quantised_buffers(kind: Any, change: Any) -> None:
    values = torch.eye(2)
    first, second = with_buffer(kind(values)), with_buffer(kind(change(values)))
    assert weights_sha256(first) != weights_sha256(second)
    assert weights_sha256(first) == weights_sha256(with_buffer(kind(values)))
    assert copy.deepcopy(first).fingerprint() == first.fingerprint()


@pytest.mark.filterwarnings("ignore:Sparse C")
@pytest.mark.parametrize("kind", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
def test_numbers_of_sparse_tensors(kind: str) -> None:
    turn = operator.methodcaller(kind)
    hashes = [tensor_sha256(turn(m)) for m in (torch.eye(2), 2 * torch.eye(2), torch.ones(2, 2))]
    assert len(set(hashes)) == 3
    assert tensor_sha256(turn(torch.eye(2))) == hashes[0]


def test_extra_state_is_part_of_a_model() -> None:
    def made(state: Any) -> str:
        network = Stateful(work.toy(), state).eval()
        return Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS).fingerprint()

    assert made([1, "a"]) == made([1, "a"]) != made([2, "a"])


def test_hash_of_ordinary_weights_stays() -> None:
    """Files of the format before name models by it."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.5)
    assert weights_sha256(Classifier(network, input_shape=(1, 2, 2))) == (
        "f00ff3e9c93a877da5776a8444a03fdc588ee6944aed29ef73438341171074e8"
    )


def test_round_trip_of_json() -> None:
    classifier = random_classifier("conv_norm")
    classifier.origin = Origin((CodeFile("net.py", "c" * 64),), "d" * 64)
    made = identify(classifier)
    assert ModelIdentity.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0"},
        {"sha256": 3},
        {"sha256": None, "weights_sha256": None},
        {"graph_sha256": "x" * 64},
        {"code": [{"name": "a.py", "sha256": None}]},
        {"code": None},
        {"preprocessing": 3},
        {"probe": {"logits": 3}},
        {"probe": {"logits": [[float("nan")]]}},
        {"probe": {}},
    ],
)
def test_strange_identities(change: dict[str, Any]) -> None:
    data = identify(random_classifier("mlp")).to_json() | change
    with pytest.raises((KeyError, TypeError, ValueError)):
        ModelIdentity.from_json(data)


@pytest.mark.parametrize("text", ["", "ab", "a" * 16, "a" * 63, "g" * 64, "a" * 65])
def test_parts_of_a_hash_are_not_taken(text: str) -> None:
    with pytest.raises(UndoorError, match="all 64 hexadecimal digits"):
        require_sha256(text, "--model-sha256")


def test_letter_case_of_a_hash() -> None:
    assert require_sha256(" " + "AB" * 32 + "\n", "x") == "ab" * 32


def test_load_takes_the_model_that_is_expected(tmp_path: Path) -> None:
    toml = folder_with(tmp_path / "a", HONEST)
    right = undoor.load(toml, trust_code=True).fingerprint()
    undoor.load(toml, trust_code=True, sha256=right.upper())
    (tmp_path / "a" / "net.py").write_text(BRANCH)
    with pytest.raises(UndoorError, match=f"expected a model with the SHA-256 {right}, got "):
        undoor.load(toml, trust_code=True, sha256=right)
    weights = weights_sha256(undoor.load(toml, trust_code=True))
    with pytest.raises(UndoorError, match="expected a model with"):
        undoor.load(toml, trust_code=True, sha256=weights)
