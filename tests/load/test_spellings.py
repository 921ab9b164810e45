"""Keys as wrappers spell them, and what torch itself takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.load.fitting import load_weights

State = dict[str, Tensor]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4, 3)


def fit(state: State, network: nn.Module) -> nn.Module:
    load_weights(network, dict(state), file=Path("w.pt"), architecture="Net")
    return network


def renamed(change: Callable[[str], str]) -> State:
    torch.manual_seed(3)
    return {change(key): value for key, value in Net().state_dict().items()}


SPELLINGS: dict[str, Callable[[str], str]] = {
    "DataParallel inside": lambda k: k.replace("features.", "features.module."),
    "DataParallel around one layer": lambda k: k.replace("fc.", "fc.module."),
    "all but the last layer": lambda k: k if k.startswith("fc.") else f"module.{k}",
    "twice": lambda k: f"module.module.{k}",
    "compiled inside of DataParallel": lambda k: f"module._orig_mod.{k}",
    "compiled parts": lambda k: k.replace("features.", "features._orig_mod."),
    "FSDP": lambda k: f"_fsdp_wrapped_module.{k.replace('.0.', '.0._checkpoint_wrapped_module.')}",
    "Lightning around DataParallel": lambda k: f"model.module.{k}",
    "Lightning twice": lambda k: f"net.model.{k}",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_wrappers_are_no_part_of_a_name(name: str) -> None:
    state, network = renamed(SPELLINGS[name]), fit(renamed(SPELLINGS[name]), Net())
    for value, (key, got) in zip(state.values(), network.state_dict().items(), strict=True):
        assert torch.equal(value, got), key


def test_a_network_that_has_such_names() -> None:
    wrapped = nn.DataParallel(Net())
    assert torch.equal(
        fit(renamed(str), wrapped).state_dict()["module.fc.bias"], renamed(str)["fc.bias"]
    )
    both = nn.ModuleDict({"module": nn.Linear(2, 2), "x": nn.Linear(2, 2)})
    fit(both.state_dict(), both)
    clash = nn.ModuleDict({"module": nn.ModuleDict({"x": nn.Linear(2, 2)}), "x": nn.Linear(2, 2)})
    made = {key: torch.full_like(v, n) for n, (key, v) in enumerate(clash.state_dict().items())}
    fit(made, clash)
    assert all(torch.equal(made[key], value) for key, value in clash.state_dict().items())


def test_a_prefix_of_no_known_wrapper() -> None:
    state = renamed(lambda k: f"victim.{k}")
    with pytest.raises(UndoorError, match=r"begin with victim\.; .*--weights-key victim$"):
        fit(state, Net())
    with pytest.raises(UndoorError, match=r"1 others do not \(proj\.weight\)"):
        fit({**state, "proj.weight": torch.ones(2)}, Net())


def test_missing_is_missing() -> None:
    state = renamed(lambda k: f"module.{k}")
    del state["module.fc.weight"]
    with pytest.raises(UndoorError, match=r"1 missing key \(fc\.weight\)"):
        fit(state, Net())
    state = renamed(str) | {"head.weight": torch.ones(1)}
    with pytest.raises(UndoorError, match=r"1 unexpected key \(head\.weight\)"):
        fit(state, Net())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.tensor(1.0))


def test_what_torch_itself_takes() -> None:
    """Tied weights stored once, as safetensors does, and numbers of torch 0.3 with one axis."""
    state = {key: value + 1 for key, value in Tied().state_dict().items()}
    del state["second.weight"]
    state["scale"] = torch.tensor([7.0])
    network = fit(state, Tied())
    assert torch.equal(network.get_parameter("second.weight"), state["first.weight"])
    assert float(network.state_dict()["scale"]) == 7


def test_weight_norm_of_either_kind() -> None:
    old = nn.utils.weight_norm(nn.Linear(3, 3))
    new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
    fit(old.state_dict(), new)
    x = torch.ones(1, 3)
    assert torch.allclose(new(x), old(x))
