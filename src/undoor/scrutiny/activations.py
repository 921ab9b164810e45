"""Choices by a mask that are activations, such as a decomposed ELU or PReLU.

Hidden switches choose by a mask, and so do activations in decomposed graphs. An activation differs
in that it is a continuous function of one value at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from undoor.scrutiny.operators import ELEMENTWISE, base
from undoor.scrutiny.trace import Step, Trace

# The points at which jumps are searched: dense around 0, sparse beyond.
_NEAR, _FAR, _POINTS = 60.0, 6, 4001
_HALVINGS, _MAX_FLIPS = 40, 16
_JUMP = 1e-3
_MAX_DEPTH = 40


def explained(trace: Trace) -> frozenset[int]:
    """Return the places of steps that belong to an activation, or to a softmax with a guard."""
    found: set[int] = set()
    for place, step in trace.living():
        if base(step.name) in ("where", "masked_fill") and step.from_input:
            for leaf in _leaves(trace, place):
                cone = _Cone(trace, place, leaf)
                if cone.whole and (
                    _is_safe_softmax(cone) or _is_softmax_without_nan(cone) or _is_continuous(cone)
                ):
                    found |= cone.places
                    break
    return frozenset(found)


class _Cone:
    """The steps between a value, the leaf, and a step that is computed from it, the top."""

    def __init__(self, trace: Trace, top: int, leaf: Tensor) -> None:
        self.trace, self.top, self.leaf = trace, top, leaf
        self.places: set[int] = set()
        self.whole = self._collect(trace.steps[top], top, 0)

    @property
    def names(self) -> set[str]:
        """The names of the operators."""
        return {self.trace.steps[place].name for place in self.places}

    def _collect(self, step: Step, place: int, depth: int) -> bool:
        """Return whether `step` depends on the input only through the leaf."""
        self.places.add(place)
        for tensor, follows in zip(step.inputs, step.follows, strict=True):
            if tensor is self.leaf or not follows:
                continue
            source = _producer(self.trace, tensor, place)
            if source is None or depth > _MAX_DEPTH or not _is_pointwise(self.trace.steps[source]):
                return False
            if not self._collect(self.trace.steps[source], source, depth + 1):
                return False
        return True

    def evaluate(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the top for other values [M, ...] of the leaf.

        Returns
        -------
        tuple
            The values of the top in double precision [M, n], and the truth values on the way
            [M, m].
        """
        known: dict[int, Any] = {id(self.leaf): value}

        def replaced(item: Any) -> Any:
            if not isinstance(item, Tensor):
                return torch.float64 if item is torch.float32 else item
            if id(item) in known:
                return known[id(item)]
            return item.double() if item.is_floating_point() else item

        for place in sorted(self.places):
            step = self.trace.steps[place]
            args, kwargs = tree_map(replaced, (step.args, step.kwargs))
            out = step.function(*args, **kwargs)
            outs = out if isinstance(out, tuple | list) else (out,)
            for old, new in zip(step.outputs, outs, strict=False):
                known[id(old)] = new
        top = known[id(self.trace.steps[self.top].outputs[0])]
        kinds = [known[id(o)] for p in self.places for o in self.trace.steps[p].outputs]
        truths = [t for t in kinds if t.dtype is torch.bool and len(t) == len(value)]
        flat = [t.reshape(len(value), -1) for t in truths]
        return top.reshape(len(value), -1), torch.cat(flat, 1)


def _leaves(trace: Trace, top: int) -> list[Tensor]:
    """Return values of which a choice may be a function, the nearest first."""
    out: list[Tensor] = []
    shape = trace.steps[top].outputs[0].shape
    todo = [top]
    while todo and len(out) < _MAX_DEPTH:
        step = trace.steps[place := todo.pop(0)]
        for tensor, follows in zip(step.inputs, step.follows, strict=True):
            if not follows or any(tensor is known for known in out):
                continue
            if tensor.is_floating_point() and tensor.shape == shape:
                out.append(tensor)
            source = _producer(trace, tensor, place)
            if source is not None and _is_pointwise(trace.steps[source]):
                todo.append(source)
    return out


def _producer(trace: Trace, tensor: Tensor, before: int) -> int | None:
    """Return the last step before `before` that returned or changed this tensor object."""
    for place in range(before - 1, -1, -1):
        if any(tensor is out for out in trace.steps[place].outputs):
            return place
    return None


def _is_pointwise(step: Step) -> bool:
    return base(step.name) in ELEMENTWISE or step.name in ("any", "_softmax", "isnan")


def _is_safe_softmax(cone: _Cone) -> bool:
    """Return whether a cone is a softmax that is 0 where all is masked, as in attention."""
    steps = [cone.trace.steps[place] for place in cone.places]
    compared = [s.args[1] for s in steps if s.name == "eq"]
    softmax = [s for s in steps if s.name == "_softmax"]
    if len(softmax) != 1 or len(compared) != 1 or compared[0] != float("-inf"):
        return False
    known = {"eq", "any", "logical_not", "_softmax", "where", "full_like", "zeros_like", "detach"}
    return cone.names <= known and softmax[0].inputs[0] is cone.leaf


def _is_softmax_without_nan(cone: _Cone) -> bool:
    """Return whether a cone is a softmax that is 0 where it would be NaN, as in ONNX."""
    source = _producer(cone.trace, cone.leaf, cone.top)
    top = cone.trace.steps[cone.top]
    return (
        cone.names <= {"isnan", "where"}
        and source is not None
        and cone.trace.steps[source].name == "_softmax"
        and any(not f and not bool(t.any()) for t, f in zip(top.inputs, top.follows, strict=True))
    )


def _is_continuous(cone: _Cone) -> bool:
    if cone.names & {"any", "_softmax", "isnan"}:
        return False
    made: dict[str, Any] = {"dtype": torch.float64, "device": cone.leaf.device}
    points = torch.cat(
        [
            -torch.logspace(_FAR, 0, _POINTS // 4, **made) - _NEAR,
            torch.linspace(-_NEAR, _NEAR, _POINTS, **made),
            torch.logspace(0, _FAR, _POINTS // 4, **made) + _NEAR,
        ]
    )
    axes = [1] * (cone.leaf.dim() - 1)
    try:
        return _without_jump(lambda v: cone.evaluate(v.view(-1, *axes)), points)
    except (RuntimeError, TypeError, KeyError, ValueError):
        return False


def _without_jump(f: Callable[[Tensor], tuple[Tensor, Tensor]], points: Tensor) -> bool:
    """Return whether a function is continuous wherever one of its truth values changes."""
    values, truths = f(points)
    flips = (truths[1:] != truths[:-1]).any(1).nonzero().flatten()
    if not bool(torch.isfinite(values).all()) or len(flips) > _MAX_FLIPS:
        return False
    for place in flips.tolist():
        low, high = points[place], points[place + 1]
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            _, at = f(torch.stack([low, middle]))
            low, high = (low, middle) if bool((at[0] != at[1]).any()) else (middle, high)
        ends, _ = f(torch.stack([low, high]))
        if bool((ends[1] - ends[0]).abs().amax() > _JUMP * (1 + ends.abs().amax())):
            return False
    return True
