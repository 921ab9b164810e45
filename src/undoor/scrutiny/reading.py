"""Read the computation between input and class scores for unusual operations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from undoor.scrutiny.activations import explained
from undoor.scrutiny.doubt import GraphCode, GraphFinding
from undoor.scrutiny.operators import (
    COMPARISONS,
    ELEMENTWISE,
    INDEXED,
    INDICES,
    MASKS,
    READS,
    SELECTS,
    STEPS,
    VIEWS,
    base,
)
from undoor.scrutiny.trace import Step, Trace, storage

KNOWN_SPACES = frozenset({"aten", "prim", "prims", "quantized", "mkldnn", "mkldnn_prepacked"})
# A part of an image smaller than this share is no patch of a grid and no row of a sequence.
_SMALL = 1 / 64
# Parts that together make up more than this share of the image are all of it.
_MAX_COVERED = 0.9


def read(found: Trace, *, maps: bool) -> Iterator[GraphFinding]:
    """Yield the findings in a pass without gradients.

    Parameters
    ----------
    maps
        Whether inputs are images [N, C, H, W].
    """
    activations = explained(found)
    if not found.connected:
        yield GraphFinding("disconnected", "the output", "the pass")
    for place, step in enumerate(found.steps):
        for code in _of_any(step):
            yield GraphFinding(code, step.where, step.name)
        if not found.live[place] or place in activations:
            continue
        living = _of_living(found, step)
        if living is not None:
            yield GraphFinding(living, step.where, step.name)
    if maps:
        yield from _pixels(found)
    yield from _gates(found)


def read_gradients(found: Trace) -> Iterator[GraphFinding]:
    """Yield the findings in a pass with gradients."""
    for _, step in found.living():
        if step.from_input and not step.with_gradient:
            yield GraphFinding("gradient_mode", step.where, step.name)
        elif step.cut:
            yield GraphFinding("detach", step.where, step.name)
    if found.output is not None:
        for name in _written_by_hand(found.output):
            yield GraphFinding("own_gradient", "its gradient", name)


def _of_any(step: Step) -> Iterator[GraphCode]:
    """Yield findings that count even if the scores do not depend on the step."""
    if step.random:
        yield "random"
    if step.changed_state:
        yield "state"
    if step.from_input and step.name in READS:
        yield "branch"


def _of_living(found: Trace, step: Step) -> GraphCode | None:
    if step.space not in KNOWN_SPACES:
        return "operator"
    if step.computes_with_ids:
        return "index"
    if not step.from_input:
        return None
    name = base(step.name)
    if name in MASKS or step.name in MASKS:
        return "mask" if _picks_by_input(step) else None
    if name in INDEXED:
        return "index" if _picks_by_input(step) else None
    if name in INDICES:
        return "index"
    if name in COMPARISONS:
        return "comparison"
    if name in STEPS or (name == "div" and step.kwargs.get("rounding_mode")):
        # A threshold that leaves no jump is a ReLU.
        return None if name == "threshold" and step.args[1] == step.args[2] else "step"
    return "index" if _gives_whole_numbers(found, step) else None


def _picks_by_input(step: Step) -> bool:
    """Return whether the mask, positions or weight of a choice are computed from the input."""
    pairs = zip(step.inputs, step.follows, strict=True)
    whole = [f for t, f in pairs if not t.is_floating_point() and not t.is_complex()]
    return any(whole) or (step.name == "lerp" and step.follows[-1] and len(step.follows) > 2)


def _gives_whole_numbers(found: Trace, step: Step) -> bool:
    """Return whether a step turns values of the input into truth values or integers in use."""
    if not any(t.is_floating_point() and f for t, f in zip(step.inputs, step.follows, strict=True)):
        return False
    odd = [t for t in step.outputs if not t.is_floating_point() and not t.is_complex()]
    keys = {storage(t) for t in odd}
    return bool(keys) and any(
        storage(t) in keys for _, later in found.living() for t in later.inputs
    )


def _written_by_hand(output: Tensor) -> set[str]:
    """Return the names of Python functions in the graph of a gradient."""
    seen: set[Any] = set()
    names: set[str] = set()
    todo: list[Any] = [output.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            names.add(type(node).__name__)
        todo += [following for following, _ in node.next_functions]
    return names


def _pixels(found: Trace) -> Iterator[GraphFinding]:
    """Yield parts of a few pixels that are cut out of the image, unless they cover it."""
    raw = {id(found.x): 1.0}
    small: list[tuple[float, Step]] = []
    for _, step in found.living():
        shares = [raw[id(t)] for t in step.inputs if id(t) in raw]
        if not shares or not step.outputs:
            continue
        name = base(step.name)
        share = shares[0]
        if name in SELECTS:
            share *= _remaining_share(step)
            if share < _SMALL <= shares[0]:
                small.append((share, step))
        elif name not in ELEMENTWISE or name in ("where", "_to_copy") or len(shares) > 1:
            continue
        raw[id(step.outputs[0])] = share
    if sum(share for share, _ in small) < _MAX_COVERED:
        for _, step in small:
            yield GraphFinding("pixel", step.where, step.name)


def _remaining_share(step: Step) -> float:
    """Return the share of rows or columns that a cut leaves; 1 for a cut along other axes."""
    x = step.inputs[0]
    axis = (step.args[1] if len(step.args) > 1 else 0) % max(1, x.dim())
    # Rows and columns are the last two of four axes; of three axes, any may be rows or columns.
    if axis < x.dim() - 2 and (axis < 2 or x.dim() != 3):
        return 1.0
    if step.name == "select":
        return 1 / x.shape[axis]
    stride = step.args[4] if len(step.args) > 4 else 1
    return min(1.0, step.outputs[0].shape[axis] * stride / max(1, x.shape[axis]))


def _gates(found: Trace) -> Iterator[GraphFinding]:
    """Yield products after the last layer that scale all class scores by one value."""
    if found.output is None or found.output.dim() != 2 or found.output.shape[1] < 2:
        return
    count, classes = found.output.shape
    tail = {id(found.output)}
    for place in range(len(found.steps) - 1, -1, -1):
        step = found.steps[place]
        if not step.from_input or not any(id(t) in tail for t in step.outputs):
            continue
        name = base(step.name)
        if name in ("mm", "addmm", "linear", "bmm"):
            inner = step.inputs[1 if name == "addmm" else 0].shape[-1]
            if inner == 1:
                yield GraphFinding("gate", step.where, step.name)
        elif name == "mul" and _weighs(found, step, place, count, classes):
            yield GraphFinding("gate", step.where, step.name)
        elif name in ELEMENTWISE or name in VIEWS or name in ("cat", "stack", "sum", "select"):
            tail.update(id(t) for t in step.inputs)


def _weighs(found: Trace, step: Step, place: int, count: int, classes: int) -> bool:
    """Return whether a step multiplies scores [N, K] by one number per input."""
    if len(step.inputs) != 2 or step.outputs[0].numel() < count * classes:
        return False
    sizes = [_before_views(found, t, place).numel() for t in step.inputs]
    few = [f and n <= count for n, f in zip(sizes, step.follows, strict=True)]
    return any(few) and math.prod(step.outputs[0].shape) == count * classes


def _before_views(found: Trace, tensor: Tensor, place: int) -> Tensor:
    """Return the tensor of which a tensor is a view."""
    for earlier in range(place - 1, -1, -1):
        step = found.steps[earlier]
        if any(tensor is out for out in step.outputs):
            if base(step.name) not in VIEWS or not step.inputs:
                return tensor
            tensor = step.inputs[0]
    return tensor
