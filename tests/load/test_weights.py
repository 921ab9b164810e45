"""State dicts: where they lie in a file, how their keys are spelt, and how they fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny import BOUNDS, SIDE, random_classifier, toy_network
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.identity.model import exact_identity
from undoor.load.fitting import load_weights
from undoor.load.spellings import PREFIXES
from undoor.load.state_dicts import WRAPPERS
from undoor.load.weights import read_state_dict
from undoor.scan.report import ScanReport
from undoor.sites import attach


def make_network(num_classes: int = 3) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, num_classes))


def fit(state: dict[str, Tensor], network: nn.Module) -> None:
    load_weights(network, state, file=Path("w.pt"), architecture="net")


def same(first: nn.Module, second: nn.Module) -> bool:
    other = second.state_dict()
    return all(torch.equal(value, other[key]) for key, value in first.state_dict().items())


@given(
    shape=st.lists(st.integers(0, 4), max_size=3),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    suffix=st.sampled_from(["safetensors", "pt"]),
    seed=st.integers(0, 9),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    shape: list[int],
    dtype: torch.dtype,
    suffix: str,
    seed: int,
) -> None:
    file = tmp_path_factory.getbasetemp() / f"round.{suffix}"
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    state = {"a.weight": tensor, "a.count": torch.tensor(seed)}
    save_file(state, file) if suffix == "safetensors" else torch.save(state, file)
    read = read_state_dict(file)
    assert read["a.weight"].dtype == torch.float32
    assert torch.equal(read["a.weight"], tensor.float())
    assert read["a.count"].dtype == torch.int64


@pytest.mark.parametrize("wrapper", [*WRAPPERS, "netC"])
def test_nested_state_dicts(tmp_path: Path, wrapper: str) -> None:
    state = make_network().state_dict()
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 1, "optimizer": optimizer, wrapper: state}, tmp_path / "w.pt")
    assert read_state_dict(tmp_path / "w.pt").keys() == state.keys()


WRAPPINGS: dict[str, Callable[[dict[str, Tensor]], dict[str, object]]] = {
    "bare": lambda state: {**state},
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "args": {"lr": 0.1}},
    "parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "compiled": lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    "training module": lambda state: {
        "state_dict": {f"model.{key}": value for key, value in state.items()},
        "pytorch-lightning_version": "2.0",
    },
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_any_wrapping_is_the_model_that_was_scanned(
    tmp_path: Path, wrapping: str, toy_report: ScanReport
) -> None:
    """The same fingerprint: its scans and repairs are those of any other wrapping."""
    state = toy_network(backdoored=True, norm=True).state_dict()
    for name in ("bare", wrapping):
        torch.save(WRAPPINGS[name](state), tmp_path / f"{name}.pt")
    tests = str(Path(__file__).parents[1])
    (tmp_path / "nets.py").write_text(
        f"import sys\nsys.path.insert(0, {tests!r})\nfrom helpers.tiny import toy_network\n\n\n"
        "def net():\n    return toy_network(backdoored=True, norm=True)\n"
    )
    bare, wrapped = (
        undoor.load(
            tmp_path / f"{name}.pt",
            architecture=f"{tmp_path / 'nets.py'}:net",
            input_shape=(1, SIDE, SIDE),
            bounds=BOUNDS,
        )
        for name in ("bare", wrapping)
    )
    assert wrapped.fingerprint() == bare.fingerprint()
    # What built it is its own, the weights and the layers are those of the scanned one.
    scanned, found = toy_report.identity, exact_identity(wrapped)
    assert scanned is not None
    called = "the architecture's callable or its arguments"
    assert set(scanned.differences(found)) <= {"code (nets.py)", called}


def test_safetensors_under_another_name(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "w.bin")
    assert set(read_state_dict(tmp_path / "w.bin")) == {"w"}


@pytest.mark.parametrize("prefix", [*PREFIXES, "_orig_mod.", "module._orig_mod.model."])
def test_prefixes_are_removed(prefix: str) -> None:
    network, other = make_network(), make_network().requires_grad_(False)
    state = {prefix + key: value for key, value in network.state_dict().items()}
    for parameter in other.parameters():
        parameter.zero_()
    fit(state, other)
    assert same(network, other)


@pytest.mark.parametrize("prefix", ["model.", "net.", "module.model."])
def test_network_beside_other_parts_of_a_training_module(prefix: str) -> None:
    network, other = make_network(), make_network()
    state = {prefix + key: value + 1 for key, value in network.state_dict().items()}
    beside = {"criterion.weight": torch.ones(3), "train_acc.confmat": torch.ones(3, 3)}
    fit(
        state | ({f"module.{k}": v for k, v in beside.items()} if "module" in prefix else beside),
        other,
    )
    assert torch.equal(other.state_dict()["0.bias"], network.state_dict()["0.bias"] + 1)
    with pytest.raises(UndoorError, match=r"set num_classes = 3"):
        fit(state | ({} if "module" in prefix else beside), make_network(5))


@pytest.mark.parametrize("average", ["ema", "state_dict_ema", "model_ema"])
@pytest.mark.parametrize("plain", ["state_dict", "model", None])
def test_moving_average_is_chosen_by_name(tmp_path: Path, plain: str | None, average: str) -> None:
    file = tmp_path / "w.pt"
    state = make_network().state_dict()
    other = {key: value + 1 for key, value in state.items()}
    torch.save({**({plain: state} if plain else state), average: other}, file)
    with pytest.raises(UndoorError, match=rf"a moving average of them.*{average}.; choose the one"):
        read_state_dict(file)
    assert torch.equal(read_state_dict(file, key=average)["0.bias"], state["0.bias"] + 1)
    if plain:
        assert torch.equal(read_state_dict(file, key=plain)["0.bias"], state["0.bias"])
    torch.save({"epoch": 3, average: other}, file)
    assert torch.equal(read_state_dict(file)["0.bias"], state["0.bias"] + 1)


def test_key_leads_further_inside(tmp_path: Path) -> None:
    state = make_network().state_dict()
    content = {"a": {"weights": {"net": state}, "step": 1}, "b": state}
    torch.save(content, tmp_path / "w.pt")
    assert read_state_dict(tmp_path / "w.pt", key="a.weights").keys() == state.keys()
    for key, found in (("c", "a, b"), ("a.c", "weights, step"), ("a.step", "weights, step")):
        with pytest.raises(UndoorError, match=rf"no state dict under '{key}' .found: {found}"):
            read_state_dict(tmp_path / "w.pt", key=key)


def test_prefix_that_belongs_to_the_network() -> None:
    network = nn.ModuleDict({"model": nn.Linear(2, 2)})
    fit({f"module.{k}": v for k, v in network.state_dict().items()}, network)


def test_compiled_part() -> None:
    network = make_network()
    fit({k.replace("0.", "0._orig_mod.", 1): v for k, v in network.state_dict().items()}, network)


def test_missing_counters_are_tolerated() -> None:
    network = make_network()
    state = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
    fit(state, network)


@pytest.mark.parametrize(
    ("drop", "add", "message"),
    [
        ({"2.bias"}, {}, r"^w.pt does not fit net: 1 missing key \(2.bias\); check"),
        (set(), {"x.a": 1, "x.b": 1}, r"2 unexpected keys \(x.a, x.b\)"),
        (set(), {f"x.{i}": 1 for i in range(5)}, r"5 unexpected keys \(.*, and 2 more\)"),
        (set(), {"0.bias": 7}, r"1 of another shape \(0.bias: expected \[4\], got \[7\]\)"),
    ],
)
def test_keys_that_do_not_fit(drop: set[str], add: dict[str, int], message: str) -> None:
    state = {k: v for k, v in make_network().state_dict().items() if k not in drop}
    with pytest.raises(UndoorError, match=message):
        fit(state | {key: torch.zeros(n) for key, n in add.items()}, make_network())


def test_other_number_of_classes() -> None:
    with pytest.raises(UndoorError, match=r"2.weight: expected \[3, 4\], got \[43, 4\].*= 43 in"):
        fit(dict(make_network(43).state_dict()), make_network(3))


def test_repaired_model_is_refused(tmp_path: Path) -> None:
    save_file({"bn1.correction.scale": torch.ones(2)}, tmp_path / "w.safetensors")
    with pytest.raises(UndoorError, match=r"repaired model.*undoor.guard"):
        read_state_dict(tmp_path / "w.safetensors")


@pytest.mark.parametrize("targets", [(), (1,), (1, 3)])
@pytest.mark.parametrize("wrapper", [None, "state_dict"])
def test_state_of_a_guarded_model_is_refused(
    tmp_path: Path, targets: tuple[int, ...], wrapper: str | None
) -> None:
    model = random_classifier("conv_norm")
    state = guard(model, make_repair(model, targets)).state_dict()
    torch.save({wrapper: state} if wrapper else state, tmp_path / "w.pt")
    with pytest.raises(UndoorError, match=r"repaired model.*undoor.guard|w.pt does not fit net"):
        fit(read_state_dict(tmp_path / "w.pt"), model.network)
    bare = random_classifier("conv_norm", seed=1)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        bare.load_state_dict(state)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        bare.network.load_state_dict(state)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_state_of_a_corrected_network_is_refused(tmp_path: Path, name: str) -> None:
    model = random_classifier("conv_norm")
    corrections = make_repair(model).targets[0].corrections
    state = attach(model, {"network.1": corrections["network.1"]}).network.state_dict()
    save = torch.save if name == "w.pt" else save_file
    save(dict(state), tmp_path / name)
    with pytest.raises(UndoorError, match=r"repaired model.*undoor.guard"):
        read_state_dict(tmp_path / name)


def test_a_repair_is_no_model(tmp_path: Path) -> None:
    file = make_repair(random_classifier("conv_norm")).save(tmp_path)
    with pytest.raises(UndoorError, match="is a repair, which holds corrections and no model"):
        read_state_dict(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(2), r"holds a Tensor; expected a state dict"),
        ({"epoch": 1, "loss": 0.5}, r"no single state dict \(found: epoch, loss\)"),
        (
            {"g": {"w": torch.ones(1)}, "d": {"w": torch.ones(1)}},
            r"several state dicts \(g, d\); choose the one.*--weights-key g",
        ),
        ({}, r"found: nothing"),
    ],
)
def test_no_state_dict(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(UndoorError, match=message):
        read_state_dict(tmp_path / "w.pt")


def test_damaged_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file({"w": torch.zeros(100)}, file)
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(UndoorError, match=r"not a readable safetensors file.*copy it again"):
        read_state_dict(file)
    file.write_bytes(b"")
    with pytest.raises(UndoorError, match="empty file"):
        read_state_dict(file)


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight


def test_values_that_differ_for_one_weight_are_refused() -> None:
    """One of them would be lost, and another network examined than the one that was trained."""
    state = {key: value.clone() for key, value in Tied().state_dict().items()}
    load_weights(Tied(), dict(state), file=Path("w.pt"), architecture="Tied")
    state["b.weight"] += 1
    with pytest.raises(UndoorError, match=r"a\.weight and b\.weight are one weight"):
        load_weights(Tied(), state, file=Path("w.pt"), architecture="Tied")


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("zipped", [True, False])
def test_sparse_tensors_beside_weights_are_left_out(tmp_path: Path, zipped: bool) -> None:
    state = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}
    edges = {"coo": torch.eye(4).to_sparse(), "csr": torch.eye(4).to_sparse_csr()}
    file = tmp_path / "w.pt"
    for content in ({"state_dict": state, **edges}, {**state, **edges}, [state, edges]):
        torch.save(content, file, _use_new_zipfile_serialization=zipped)
        assert read_state_dict(file).keys() == state.keys()


def test_sparse_weights_are_refused(tmp_path: Path) -> None:
    state = {"fc.weight": torch.eye(3).to_sparse(), "fc.bias": torch.ones(3)}
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(UndoorError, match=r"sparse tensors \(fc.weight\).*to_dense"):
        read_state_dict(tmp_path / "w.pt")


def test_sparse_tensors_that_lead_outside_of_themselves_are_refused(tmp_path: Path) -> None:
    outside = torch.sparse_coo_tensor(
        torch.tensor([[2**40], [1]]), torch.ones(1), (4, 4), check_invariants=False
    )
    torch.save({"state_dict": {"w": torch.ones(1)}, "adj": outside}, tmp_path / "w.pt")
    with pytest.raises(UndoorError, match="found index"):
        read_state_dict(tmp_path / "w.pt")
