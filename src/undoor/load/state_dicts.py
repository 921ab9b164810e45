"""Find the state dicts in a checkpoint, and the one that is the model.

Training scripts save several networks in one file: a classifier and its trigger generator, the
weights and their moving average, a student and a teacher. The architecture or the user decides
which one is the model; it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from undoor.errors import UndoorError

StateDict = dict[str, Tensor]

# Where training scripts keep the state dict inside a checkpoint, most specific first.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
# What they call a second set of weights for the same network, used for predictions instead.
AVERAGE = re.compile(
    r"(.*_)?(ema|swa|moving_average|averaged|avg_model|model_avg|polyak|shadow|mean_teacher"
    r"|momentum_encoder|current_model_state)(_.*)?",
    re.IGNORECASE,
)
SKIPPED = re.compile(r"optim|sched|_metadata$")
ITSELF = "the file itself"
# Most wrappers in wrappers, and most state dicts in one file; real checkpoints have fewer.
DEEPEST = 20
MAX_STATES = 64


def states_in(content: object, path: Path, *, key: str | None = None) -> dict[str, StateDict]:
    """Return all state dicts of a checkpoint, by the key that leads to them ("" for itself).

    Parameters
    ----------
    content
        Of the checkpoint.
    path
        Of the file, for messages.
    key
        Look below this key alone; dots lead further inside. It may also be the beginning of a part
        of the keys of a state dict.

    Raises
    ------
    UndoorError
        There is none, or none under `key`.
    """
    # Pairs of a state dict and metrics are saved as tuples.
    content = list(content) if isinstance(content, tuple) else content
    if key:
        return _named(content, key, path)
    if not isinstance(content, dict | list):
        raise UndoorError(
            f"{path} holds a {type(content).__name__}; expected a state dict: "
            "save model.state_dict()"
        )
    found = dict(_walk(content, "", 0, {}))
    if not found:
        names = dict.keys(content) if isinstance(content, dict) else range(len(content))
        keys = ", ".join([str(name) for name in names][:6]) or "nothing"
        raise UndoorError(
            f"{path} holds no single state dict (found: {keys}); save model.state_dict()"
        )
    return found


def find_state_dict(content: object, path: Path, *, key: str | None = None) -> StateDict:
    """Return the only state dict of a checkpoint, or the one under `key`; see `states_in`.

    Raises
    ------
    UndoorError
        There is none, or more than one.
    """
    return only_one(states_in(content, path, key=key), path)


def only_one(states: Mapping[str, StateDict], path: Path) -> StateDict:
    """Return the state dict that is the model, as far as names alone show it.

    Raises
    ------
    UndoorError
        There is more than one.
    """
    refuse_averages(states, path)
    for name in states:
        if name and all(part in WRAPPERS for part in name.split(".")):
            return states[name]
    nested = [name for name in states if name]
    itself = states.get("", {})
    # Tensors beside state dicts are metrics or patterns; names of weights have layer and weight.
    if itself and (not nested or any("." in name for name in itself)):
        return itself
    if len(nested) == 1:
        return states[nested[0]]
    raise UndoorError(_several(states, path, "several state dicts"))


def refuse_averages(states: Mapping[str, StateDict], path: Path) -> None:
    """Refuse weights beside others whose name is that of their moving average.

    Raises
    ------
    UndoorError
        There are both; the message names them.
    """
    averages = [name for name in states if _is_average(name)]
    sizes = [len(state) for name, state in states.items() if name not in averages]
    # An average of losses is not one of weights.
    averages = [name for name in averages if sizes and 2 * len(states[name]) >= max(sizes)]
    if averages:
        plain = [name for name in states if name and not _is_average(name)]
        raise UndoorError(
            f"{path} holds weights and a moving average of them ({', '.join(plain + averages)}); "
            "choose the one that the model uses, by --weights-key or key in [model]"
        )


def refuse_several(states: Mapping[str, StateDict], path: Path, fit: str) -> None:
    """Refuse state dicts that all fit an architecture, named by `fit`."""
    raise UndoorError(_several(states, path, f"several state dicts that fit {fit}"))


def _several(states: Mapping[str, StateDict], path: Path, what: str) -> str:
    names = [name or ITSELF for name in states]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    example = next(name for name in states if name)
    return (
        f"{path} holds {what} ({shown}); choose the one that the model uses, as by --weights-key "
        f"{example}, or key in [model]"
    )


def _is_average(name: str) -> bool:
    return any(AVERAGE.fullmatch(part) for part in name.split("."))


def _walk(
    content: object, name: str, depth: int, seen: dict[int, str]
) -> Iterator[tuple[str, StateDict]]:
    # A container may hold itself, or the same one many times over.
    if depth > DEEPEST or len(seen) > 10_000 or id(content) in seen:
        return
    if not isinstance(content, dict | list):
        return
    seen[id(content)] = name
    # Not the methods of the value, which a file may have replaced.
    items = list(dict.items(content) if isinstance(content, dict) else enumerate(content))
    if isinstance(content, list):
        # Averages are also saved as the bare list of their tensors.
        items = [(str(number), value) for number, value in items[:100_000]]
    tensors = {k: v for k, v in items if isinstance(k, str) and isinstance(v, Tensor)}
    tensors = {k: v for k, v in tensors.items() if not _is_graph(k, v)}
    if tensors:
        yield name, tensors
    order = {key: place for place, key in enumerate(WRAPPERS)}
    inner = [(k, v) for k, v in items if isinstance(k, str) and not SKIPPED.match(k)]
    count = 0
    for key, value in sorted(inner, key=lambda item: order.get(item[0], len(order))):
        for found in _walk(value, f"{name}.{key}" if name else key, depth + 1, seen):
            yield found
            count += 1
            if count >= MAX_STATES:
                return


def _is_graph(name: str, value: Tensor) -> bool:
    """Return whether a tensor is a sparse one beside weights, such as the edges of a graph.

    Tensors whose names have layer and weight are weights.
    """
    return value.layout is not torch.strided and "." not in name


def _named(content: object, key: str, path: Path) -> dict[str, StateDict]:
    """Return the state dicts under `key`."""
    part, listing = content, content
    steps = key.split(".")
    for number, step in enumerate(steps):
        listing, part = part, _step(part, step)
        if part is None:
            part = _part_of(listing, ".".join(steps[number:]))
            break
    found = dict(_walk(part, "", 0, {}))
    if not found:
        names = [str(name) for name in listing][:6] if isinstance(listing, dict) else []
        raise UndoorError(
            f"{path} holds no state dict under {key!r} (found: {', '.join(names) or 'nothing'})"
        )
    return {f"{key}.{name}" if name else key: state for name, state in found.items()}


def _step(content: object, step: str) -> Any:
    if isinstance(content, dict):
        return dict.get(content, step)
    if isinstance(content, list) and step.isdigit() and int(step) < len(content):
        return content[int(step)]
    return None


def _part_of(content: object, prefix: str) -> StateDict | None:
    """Return the tensors whose names begin with a prefix, without it, also inside wrappers."""
    for state in dict(_walk(content, "", 0, {})).values():
        start = f"{prefix}."
        part = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
        if part:
            return part
    return None
