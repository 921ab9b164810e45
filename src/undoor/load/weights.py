"""Read a state dict and put it into a network, strictly."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from undoor.errors import UndoorError
from undoor.files import other_spelling
from undoor.load.beside import stand_ins
from undoor.load.check import examine, require_safe
from undoor.load.not_a_model import refuse_repair
from undoor.load.regular import open_regular
from undoor.load.safetensors_header import require_safe_header
from undoor.load.spellings import COUNTER, AmbiguousError, respelt
from undoor.load.state_dicts import (
    ITSELF,
    StateDict,
    only_one,
    refuse_averages,
    refuse_several,
    states_in,
)

SHOWN = 3
# What quantisers call their scales; bitsandbytes, torchao, GPTQ and torch.ao.
QUANTISED = re.compile(
    r"(.*\.)?(_packed_params(\._packed_params)?|qweight|qzeros|zero_points?|SCB|absmax"
    r"|quant_map|weight_scale(_inv)?|weight\.(absmax|quant_map|quant_state.*|_data|_scale))"
)
WHOLE_NUMBERS = (torch.int8, torch.uint8)


def read_state_dict(path: Path, *, key: str | None = None) -> StateDict:
    """Return the tensors of a checkpoint by name; floating-point ones as float32.

    Nothing is executed: safetensors holds no code, and other files are screened first and then
    opened with `weights_only=True`.

    Parameters
    ----------
    key
        Which of several state dicts it holds, dots leading further inside.

    Raises
    ------
    UndoorError
        The file is missing, unsafe, damaged, or holds no state dict, none under `key`, or more than
        one without saying which.
    """
    return _prepared(only_one(read_states(path, key=key), path), path)


def read_states(path: Path, *, key: str | None = None) -> dict[str, StateDict]:
    """Return all state dicts of a checkpoint as they are stored, by the keys that lead to them.

    See `states_in`. Raises as `read_state_dict`, but for what more than one is.
    """
    if not path.exists():
        raise UndoorError(f"the weights {path} do not exist{other_spelling(path)}; check the path")
    open_regular(path).close()
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    return states_in(content, path, key=key)


def needs_architecture(path: Path) -> bool:
    """Return whether `path` is a bare checkpoint: tensors by name, and no word on their network."""
    kinds = ("safetensors", "torch checkpoint", "pickle")
    return path.is_file() and path.suffix != ".toml" and examine(path).format in kinds


def load_fitting(
    network: nn.Module, states: Mapping[str, StateDict], *, file: Path, architecture: str
) -> None:
    """Load the one of several state dicts that fits the network.

    Parameters
    ----------
    states
        As `read_states` gives them.

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
            load_weights(network, _prepared(state, file), file=file, architecture=architecture)
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
    load_weights(network, _prepared(first, file), file=file, architecture=architecture)


def load_weights(network: nn.Module, state: StateDict, *, file: Path, architecture: str) -> None:
    """Load `state` into `network`; every key must find its place.

    What wrappers such as DataParallel and torch.compile put into keys is left out; missing
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
        # Not an override of the network's, which may be content with less.
        nn.Module.load_state_dict(network, state, strict=True)
    except RuntimeError as error:
        reason = problem or " ".join(str(error).split())
        raise UndoorError(f"{file} does not fit {architecture}: {reason}") from error


def _torn(expected: Mapping[str, Tensor], state: StateDict) -> tuple[str, str] | None:
    """Two names of one tensor of the network for which the file has different values."""
    first: dict[tuple[int, torch.Size], str] = {}
    for key, value in expected.items():
        if key not in state or is_lazy(value) or not value.numel():
            continue
        other = first.setdefault((value.data_ptr(), value.shape), key)
        if other != key and not torch.equal(state[other], state[key]):
            return other, key
    return None


def _complete(state: StateDict, expected: Mapping[str, Tensor]) -> None:
    """Add what a file may leave out: counters, and second names of the same tensor."""
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
    """Raise what is wrong with the state dict that comes nearest."""
    ends = {key.rpartition(".")[2] for key in network.state_dict()}
    near = {n: sum(k.rpartition(".")[2] in ends for k in state) for n, state in states.items()}
    best = max(problems, key=lambda name: near[name])
    others = [name or ITSELF for name in problems if name != best]
    if not others:
        raise problems[best]
    where = f" (its {best})" if best else ""
    more = ", ".join(others[:SHOWN]) + (" and more" if len(others) > SHOWN else "")
    raise UndoorError(
        f"{problems[best]}{where}; nor does anything else in the file fit ({more})"
    ) from problems[best]


def _same(first: StateDict, second: StateDict) -> bool:
    return first.keys() == second.keys() and all(
        value.shape == second[key].shape and torch.equal(value, second[key])
        for key, value in first.items()
    )


def _prepared(state: StateDict, path: Path) -> StateDict:
    """Return the same in float32, where it holds the weights of a model as they are."""
    # Not the methods of the values, which a file may have set to something else.
    state = {name: Tensor.detach(value) for name, value in state.items()}
    if any(".correction." in f".{name}" for name in state):
        raise UndoorError(
            f"{path} is a repaired model: it holds undoor's corrections and would do harm without "
            "them; load the original weights and attach the repair with undoor.guard"
        )
    refuse_repair(path, state)
    sparse = [name for name, value in state.items() if value.layout is not torch.strided]
    if sparse:
        raise UndoorError(
            f"{path} holds weights as sparse tensors ({_shorten(sparse)}); expected dense ones: "
            "save the state dict again with value.to_dense() for these"
        )
    quantised = [name for name, value in state.items() if _is_quantised(name, value)]
    if quantised:
        raise UndoorError(
            f"{path} holds the weights of a quantised network ({_shorten(quantised)}); "
            "give the floating-point weights that they were made from, or dequantise them "
            "(value.dequantize()) and save the state dict again"
        )
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def _is_quantised(name: str, value: Tensor) -> bool:
    whole = value.dtype in WHOLE_NUMBERS and name.endswith("weight")
    return value.is_quantized or whole or QUANTISED.fullmatch(name) is not None


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> StateDict:
    require_safe_header(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UndoorError(
            f"{path} is not a readable safetensors file ({_first_line(error)}); "
            "it may be truncated: copy it again"
        ) from error


def _read_torch(path: Path) -> object:
    safety = require_safe(path)
    names = [name for name, _ in safety.globals]
    try:
        with (
            warnings.catch_warnings(),
            torch.serialization.safe_globals(stand_ins(names)),
            # Indices of sparse tensors that lead outside of them are refused.
            torch.sparse.check_sparse_tensor_invariants(),
        ):
            # What is deprecated in the file is nothing that its reader can change.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    # Whatever torch stumbles over in a file that passed the screen, the file is not to be used.
    except Exception as error:
        raise UndoorError(
            f"{path} cannot be opened as a torch checkpoint ({_first_line(error)}); "
            "re-save the state dict as safetensors on a machine you trust"
        ) from error


def _mismatch(expected: Mapping[str, Tensor], state: StateDict) -> str:
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    shapes = [
        (key, list(value.shape), list(state[key].shape))
        for key, value in expected.items()
        if key in state and not is_lazy(value) and value.shape != state[key].shape
    ]
    parts = [
        f"{len(keys)} {what} {_plural(keys)} ({_shorten(keys)})"
        for what, keys in (("missing", missing), ("unexpected", unexpected))
        if keys
    ]
    if shapes:
        told = [f"{key}: expected {want}, got {got}" for key, want, got in shapes]
        parts.append(f"{len(shapes)} of another shape ({_shorten(told, '; ')})")
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


def _shorten(items: list[str], separator: str = ", ") -> str:
    more = f"{separator}and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return separator.join(items[:SHOWN]) + more


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
