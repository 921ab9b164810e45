"""Put a state dict into a network, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from undoor.errors import UndoorError
from undoor.load.spellings import COUNTER, AmbiguousError, respelt
from undoor.load.state_dicts import ITSELF, StateDict, refuse_averages, refuse_several
from undoor.load.weights import SHOWN, prepared, shorten


def load_fitting(
    network: nn.Module, states: Mapping[str, StateDict], *, file: Path, architecture: str
) -> None:
    """Load the one of several state dicts that fits the network.

    Parameters
    ----------
    network
        Gets the weights.
    states
        As `read_states` returns them.
    file, architecture
        Their names, for messages.

    Raises
    ------
    UndoorError
        None fits, or several that differ.
    """
    refuse_averages(states, file)
    fitting: dict[str, StateDict] = {}
    problems: dict[str, UndoorError] = {}
    for name, state in states.items():
        try:
            load_weights(network, prepared(state, file), file=file, architecture=architecture)
        except AmbiguousError:
            raise
        except UndoorError as error:
            problems[name] = error
        else:
            fitting[name] = state
    if not fitting:
        _refuse_all(network, states, problems)
    (first, *others) = fitting.values()
    if any(not _same(first, other) for other in others):
        refuse_several(fitting, file, architecture)
    load_weights(network, prepared(first, file), file=file, architecture=architecture)


def load_weights(network: nn.Module, state: StateDict, *, file: Path, architecture: str) -> None:
    """Load a state dict into a network, all of whose keys must match.

    The parts that wrappers such as DataParallel and torch.compile add to keys are removed; missing
    `num_batches_tracked` counters stay as they are, and weights that are stored once for two
    places are put into both.

    Raises
    ------
    UndoorError
        It does not fit, or more than one part of it does.
    """
    # Without extra state of other kinds, which no file of tensors has.
    entries = network.state_dict().items()
    expected = {key: value for key, value in entries if isinstance(value, Tensor)}
    state = respelt(state, expected, f"{file} does not fit {architecture}")
    _complete(state, expected)
    problem = _mismatch(expected, state)
    if torn := _torn(expected, state):
        raise UndoorError(
            f"{file} does not fit {architecture}: {' and '.join(torn)} are one weight in the "
            "network, and differ in the file; give the architecture that it was trained with"
        )
    try:
        # Not the network's own method, which may be less strict.
        nn.Module.load_state_dict(network, state, strict=True)
    except RuntimeError as error:
        reason = problem or " ".join(str(error).split())
        raise UndoorError(f"{file} does not fit {architecture}: {reason}") from error


def _torn(expected: Mapping[str, Tensor], state: StateDict) -> tuple[str, str] | None:
    """Return two names of one tensor of the network for which the file has different values."""
    first: dict[tuple[int, torch.Size], str] = {}
    for key, value in expected.items():
        if key not in state or is_lazy(value) or not value.numel():
            continue
        other = first.setdefault((value.data_ptr(), value.shape), key)
        if other != key and not torch.equal(state[other], state[key]):
            return other, key
    return None


def _complete(state: StateDict, expected: Mapping[str, Tensor]) -> None:
    """Add the entries that a file may lack: counters, and second names of the same tensor."""
    stored = {
        (value.data_ptr(), value.shape): state[key]
        for key, value in expected.items()
        if key in state and not is_lazy(value) and value.numel()
    }
    for key, value in expected.items():
        if key in state or is_lazy(value):
            continue
        if key.endswith(COUNTER):
            state[key] = value
        elif (twin := stored.get((value.data_ptr(), value.shape))) is not None:
            state[key] = twin


def _refuse_all(
    network: nn.Module, states: Mapping[str, StateDict], problems: Mapping[str, UndoorError]
) -> NoReturn:
    """Raise the problem of the state dict that is nearest to the network."""
    ends = {key.rpartition(".")[2] for key in network.state_dict()}
    near = {n: sum(k.rpartition(".")[2] in ends for k in state) for n, state in states.items()}
    nearest = max(problems, key=lambda name: near[name])
    others = [name or ITSELF for name in problems if name != nearest]
    if not others:
        raise problems[nearest]
    where = f" (its {nearest})" if nearest else ""
    more = ", ".join(others[:SHOWN]) + (" and more" if len(others) > SHOWN else "")
    raise UndoorError(
        f"{problems[nearest]}{where}; nor does anything else in the file fit ({more})"
    ) from problems[nearest]


def _same(first: StateDict, second: StateDict) -> bool:
    return first.keys() == second.keys() and all(
        value.shape == second[key].shape and torch.equal(value, second[key])
        for key, value in first.items()
    )


def _mismatch(expected: Mapping[str, Tensor], state: StateDict) -> str:
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    shapes = [
        (key, list(value.shape), list(state[key].shape))
        for key, value in expected.items()
        if key in state and not is_lazy(value) and value.shape != state[key].shape
    ]
    parts = [
        f"{len(keys)} {what} {_plural(keys)} ({shorten(keys)})"
        for what, keys in (("missing", missing), ("unexpected", unexpected))
        if keys
    ]
    if shapes:
        details = [f"{key}: expected {want}, got {got}" for key, want, got in shapes]
        parts.append(f"{len(shapes)} of another shape ({shorten(details, '; ')})")
    if not parts:
        return ""
    hint = "check the architecture and its arguments"
    classes = {got[0] for _, want, got in shapes if got and got[1:] == want[1:]}
    if not missing and not unexpected and len(shapes) <= 2 and len(classes) == 1:
        count = classes.pop()
        hint = f"the file has {count} classes: set num_classes = {count} in the arguments"
    return f"{', '.join(parts)}; {hint}"


def _plural(keys: list[str]) -> str:
    return "key" if len(keys) == 1 else "keys"
