"""Several state dicts in one file: what fits the architecture is taken, and only if it is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.load.fitting import load_fitting
from undoor.load.state_dicts import states_in
from undoor.load.weights import read_state_dict, read_states

State = dict[str, Tensor]


def make_network(seed: int = 1, classes: int = 3) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, classes))


def state(seed: int = 1, classes: int = 3) -> State:
    return dict(make_network(seed, classes).state_dict())


def loaded(content: object, tmp_path: Path, key: str | None = None) -> State:
    torch.save(content, tmp_path / "w.pt")
    network = make_network(seed=9)
    states = read_states(tmp_path / "w.pt", key=key)
    load_fitting(network, states, file=tmp_path / "w.pt", architecture="net")
    return network.state_dict()


def same(first: State, second: State) -> bool:
    return all(torch.equal(value, second[key]) for key, value in first.items())


def prefixed(prefix: str, values: State) -> State:
    return {prefix + key: value for key, value in values.items()}


def flat_names(values: State) -> State:
    """As LitEma of latent diffusion keeps them: no dots, and no buffers."""
    return {k.replace(".", ""): v for k, v in values.items() if "running" not in k}


GENERATOR = {"a.weight": torch.ones(2, 2)}
ONE_FITS: dict[str, Callable[[State], Any]] = {
    "WaNet": lambda s: {
        "netC": s, "identity_grid": torch.zeros(1, 4, 4, 2), "best_clean_acc": torch.tensor(0.9),
        "optimizerC": {"state": {0: {"momentum_buffer": torch.ones(4, 4)}}},
    },
    "input-aware": lambda s: {"netC": s, "netG": GENERATOR, "netM": GENERATOR, "epoch": 3},
    "LIRA": lambda s: {"atkmodel": GENERATOR, "netC": s, "tgtmodel": GENERATOR},
    "wrapper holds another": lambda s: {"model": GENERATOR, "classifier": s},
    "pair": lambda s: (s, {"epoch": 3}),
    "list": lambda s: {"models": [GENERATOR, s]},
    "deep": lambda s: {"run": {"nets": {"victim": s, "surrogate": GENERATOR}}},
    "of another size": lambda s: {"teacher_net": state(classes=7), "net": s},
    "named optimizer": lambda s: {"net": s, "optim": {"state": {"0.weight": dict(s)}}},
    "figures": lambda s: {"state_dict": s, "avg_loss": {"a": torch.ones(1)}},
    "twice the same": lambda s: {"model": s, "best": {k: v.clone() for k, v in s.items()}},
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_FITS)
def test_the_one_that_fits_is_taken(tmp_path: Path, name: str) -> None:
    assert same(loaded(ONE_FITS[name](state()), tmp_path), state())


TWO: dict[str, tuple[Callable[[State, State], Any], str]] = {
    "student and teacher": (lambda s, t: {"student": s, "teacher": t}, "student"),
    "wrapper and best": (lambda s, t: {"state_dict": s, "best_state_dict": t}, "state_dict"),
    "Lightning's averaging": (
        lambda s, t: {"state_dict": s, "current_model_state": t, "averaging_state": {}},
        "state_dict",
    ),
    "AveragedModel": (
        lambda s, t: {
            "net": s,
            "avg": {"n_averaged": torch.tensor(3), **prefixed("module.", t)},
        },
        "net",
    ),
    "swa_state_dict": (lambda s, t: {"state_dict": s, "swa_state_dict": t}, "state_dict"),
    "averaged_model": (lambda s, t: {"model": s, "averaged_model": t}, "model"),
    "deeper": (lambda s, t: {"model": {"state_dict": s, "ema": t}}, "model.state_dict"),
    "bare list": (
        lambda s, t: {"model": s, "ema": {"decay": 0.9, "shadow_params": list(t.values())}},
        "model",
    ),
    "ensemble": (lambda s, t: {"models": [s, t]}, "models.0"),
    "prefixes": (lambda s, t: {**prefixed("student.", s), **prefixed("teacher.", t)}, "student"),
    "MoCo": (
        lambda s, t: {
            "state_dict": {
                **prefixed("module.encoder_q.", s), **prefixed("module.encoder_k.", t),
                "module.queue": torch.ones(2, 2),
            }
        },
        "module.encoder_q",
    ),
    "average by prefix": (lambda s, t: {**prefixed("model.", s), **prefixed("ema.", t)}, "model"),
    "own keys and an average": (lambda s, t: {**s, **prefixed("ema.", t)}, ""),
    "flat average": (
        lambda s, t: {**prefixed("model.", s), **prefixed("model_ema.", flat_names(t))},
        "model",
    ),
    "inside of a wrapper": (
        lambda s, t: {"state_dict": {**prefixed("net.", s), **prefixed("ema_net.", t)}},
        "state_dict.net",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO)
def test_two_that_fit_are_named(tmp_path: Path, name: str) -> None:
    make, key = TWO[name]
    content = make(state(), state(2))
    with pytest.raises(UndoorError, match=r"--weights-key") as caught:
        loaded(content, tmp_path)
    assert "\n" not in str(caught.value)
    if key:
        assert same(loaded(content, tmp_path, key), state())


def test_none_that_fits(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"set num_classes = 7.*\(its netC\); nor does .*netG"):
        loaded({"netC": state(classes=7), "netG": GENERATOR}, tmp_path)


def test_names_alone(tmp_path: Path) -> None:
    """Without an architecture: tensors beside a state dict are not the model."""
    torch.save({"netC": state(), "grid": torch.ones(3)}, tmp_path / "w.pt")
    assert same(read_state_dict(tmp_path / "w.pt"), state())
    torch.save({"netC": state(), "netG": GENERATOR}, tmp_path / "w.pt")
    with pytest.raises(UndoorError, match=r"several state dicts \(netC, netG\)"):
        read_state_dict(tmp_path / "w.pt")


def test_a_container_within_itself() -> None:
    content: dict[str, Any] = {"model": state()}
    content["again"] = content
    content["many"] = [content] * 100
    assert list(states_in(content, Path("w.pt"))) == ["model"]
