"""Read a state dict and put it into a network, strictly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.load.check import examine, require_safe
from undoor.load.regular import open_regular
from undoor.load.safetensors_header import require_safe_header

StateDict = dict[str, Tensor]

# Where training scripts keep the state dict inside a checkpoint, most specific first.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
# Where they keep the moving average of the weights, which answers otherwise.
AVERAGES = ("state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "ema")
# What wrappers put in front of every key.
PREFIXES = ("module.", "model.", "net.", "network.", "backbone.")
# As undoor.align.stored names the tensors of a repair.
REPAIR = "repair/"
SHOWN = 3
# Wrappers in wrappers: so many were never seen.
DEEPEST = 20


def read_state_dict(path: Path, *, key: str | None = None) -> StateDict:
    """The tensors of a checkpoint by name; floating-point ones as float32.

    key : which of several state dicts it holds, dots leading further inside.

    Nothing is executed: safetensors holds no code, and other files are screened first and then
    opened with `weights_only=True`.

    Raises
    ------
    UndoorError : the file is missing, unsafe, damaged, or holds no state dict, none under `key`,
        or more than one without saying which.
    """
    if not path.exists():
        raise UndoorError(f"the weights {path} do not exist; check the path")
    open_regular(path).close()
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    found = find_state_dict(content, path, key=key)
    state = {name: _to_float32(value) for name, value in found.items()}
    if any(".correction." in f".{name}" for name in state):
        raise UndoorError(
            f"{path} is a repaired model: it holds undoor's corrections and would do harm without "
            "them; load the original weights and attach the repair with undoor.guard"
        )
    if all(key.startswith(REPAIR) for key in state):
        raise UndoorError(
            f"{path} is a repair, which holds corrections and no model; give the original weights "
            "as the model, and this file as --repair or to undoor.Repair.load"
        )
    return state


def needs_architecture(path: Path) -> bool:
    """Whether `path` is a bare checkpoint: tensors by name, and no word on their network."""
    kinds = ("safetensors", "torch checkpoint", "pickle")
    return path.is_file() and path.suffix != ".toml" and examine(path).format in kinds


def load_weights(network: nn.Module, state: StateDict, *, file: Path, architecture: str) -> None:
    """Load `state` into `network`; every key must find its place.

    Prefixes that wrappers such as DataParallel and torch.compile leave are removed, and missing
    `num_batches_tracked` counters are left as they are.
    """
    expected = network.state_dict()
    state = _without_prefixes(state, set(expected))
    for key, value in expected.items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, value)
    problem = _mismatch(expected, state)
    if problem:
        raise UndoorError(f"{file} does not fit {architecture}: {problem}")
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UndoorError(f"{file} does not fit {architecture}: {reason}") from error


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
    require_safe(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # Whatever torch stumbles over in a file that passed the screen, the file is not to be used.
    except Exception as error:
        raise UndoorError(
            f"{path} cannot be opened as a torch checkpoint ({_first_line(error)}); "
            "re-save the state dict as safetensors on a machine you trust"
        ) from error


def find_state_dict(content: object, path: Path, *, key: str | None = None) -> StateDict:
    """The one state dict in what a checkpoint holds, or that under `key`; `path` names the file.

    Raises
    ------
    UndoorError : there is none, or more than one.
    """
    if key:
        return _named(content, key, path)
    if not isinstance(content, Mapping):
        raise UndoorError(
            f"{path} holds a {type(content).__name__}; expected a state dict: "
            "save model.state_dict()"
        )
    found = _search(content)
    averages = [key for key in AVERAGES if _search(content.get(key))]
    if found and averages:
        kept = [key for key in WRAPPERS if _search(content.get(key))]
        raise UndoorError(
            f"{path} holds weights and a moving average of them ({', '.join(kept + averages)}); "
            "say which the model answers with, by --weights-key or key in [model]"
        )
    if found:
        return found
    nested = [str(key) for key, value in content.items() if _search(value)]
    if len(nested) == 1:
        return _search(content[nested[0]])
    keys = ", ".join(nested or [str(key) for key in content][:6]) or "nothing"
    wanted = "one of them as a file of its own" if nested else "model.state_dict()"
    raise UndoorError(f"{path} holds no single state dict (found: {keys}); save {wanted}")


def _named(content: object, key: str, path: Path) -> StateDict:
    """The state dict under `key`."""
    part, listing = content, content
    for step in key.split("."):
        listing, part = part, part.get(step) if isinstance(part, Mapping) else None
    found = _search(part)
    if not found:
        names = [str(name) for name in listing][:6] if isinstance(listing, Mapping) else []
        raise UndoorError(
            f"{path} holds no state dict under {key!r} (found: {', '.join(names) or 'nothing'})"
        )
    return found


def _search(content: Any, seen: dict[int, StateDict] | None = None, depth: int = 0) -> StateDict:
    # A dictionary may hold itself, or the same one many times over.
    seen = {} if seen is None else seen
    if not isinstance(content, Mapping) or depth > DEEPEST:
        return {}
    if id(content) in seen:
        return seen[id(content)]
    seen[id(content)] = {}
    for wrapper in WRAPPERS:
        if found := _search(content.get(wrapper), seen, depth + 1):
            return found
    found = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    seen[id(content)] = found
    return found


def _to_float32(value: Tensor) -> Tensor:
    # Not the method of the value, which a file may have set to something else.
    value = Tensor.detach(value)
    return value.float() if value.is_floating_point() else value


def _without_prefixes(state: StateDict, expected: set[str]) -> StateDict:
    """The spelling of the keys that names most of what the network expects."""
    best: StateDict = {}
    for spelling in _spellings(state):
        if not best or _matches(spelling, expected) > _matches(best, expected):
            best = spelling
    return dict(best)


def _matches(state: StateDict, expected: set[str]) -> int:
    return sum(key in expected for key in state)


def _spellings(state: StateDict) -> Iterator[StateDict]:
    yield state
    # torch.compile may have been put around an inner module: its mark stands anywhere in a key.
    state = {key.replace("_orig_mod.", ""): value for key, value in state.items()}
    yield state
    while prefix := next((p for p in PREFIXES if all(k.startswith(p) for k in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        yield state
    # A training module that keeps the network beside losses and metrics of its own.
    for prefix in PREFIXES:
        part = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if part:
            yield part


def _mismatch(expected: Mapping[str, Tensor], state: StateDict) -> str:
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    shapes = [
        (key, list(value.shape), list(state[key].shape))
        for key, value in expected.items()
        if key in state and value.shape != state[key].shape
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
