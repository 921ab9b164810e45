"""Whether each value on the way to the class scores depends on one input only.

A switch by the size of the batch can be made of ordinary operators, such as a sum of ones or a
softmax over the batch, and be off in every batch that is scanned. But the values from which it is
computed change with the number of copies of one input, or with the other inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

import torch
from torch import Tensor, nn

from undoor.device import precise
from undoor.scrutiny.doubt import GraphFinding, first_line
from undoor.scrutiny.operators import VIEWS, base
from undoor.scrutiny.sizes import sizes_for
from undoor.scrutiny.trace import Step, Trace, trace
from undoor.scrutiny.unread import unread

COPIES = (1, 2, 7)
# Two batches of three inputs, which have only the first input in common.
_ONE, _OTHER = (0, 1, 2), (0, 3, 4)
_SHARE = 1 / len(_ONE)
# Rounding errors, as shares of the size of a value, or of the values it is computed from if these
# are far larger. What is below `_TINY` of the input may be the rounding error of a difference.
_ROUNDING, _CANCELLED, _SAME, _TINY = 1e-3, 1e-3, 1e-4, 1e-9


def read_rows(network: nn.Module, x: Tensor) -> Iterator[GraphFinding]:
    """Yield the first value that depends on the number of inputs or on other inputs.

    Parameters
    ----------
    x
        Inputs [N, ...], of which five are used.
    """
    x = x[torch.arange(1 + max(_OTHER), device=x.device) % len(x)]
    try:
        found = _by_copies(network, x[:1]) or _by_others(network, x)
    except Exception as error:  # Some values cannot be compared, such as sparse ones.
        what = f"{first_line(error)}, while its values were compared"
        found = GraphFinding("disconnected", "batches of copies", what)
    if found is not None:
        yield found


@dataclass(frozen=True, eq=False)
class _Value:
    """A value computed from the input.

    Attributes
    ----------
    floor
        The smallest size of the value for comparisons.
    """

    step: Step
    numbers: Tensor
    floor: float

    @property
    def key(self) -> tuple[str, str, torch.dtype]:
        """Operator, place and type, by which values of two passes are matched."""
        return base(self.step.name), self.step.where, self.numbers.dtype

    @property
    def summary(self) -> tuple[float, float, float]:
        """Minimum, maximum and mean of the finite numbers."""
        numbers = precise(self.numbers)
        finite = numbers[numbers.isfinite()]
        if not len(finite):
            return 0.0, 0.0, 0.0
        return float(finite.min()), float(finite.max()), float(finite.mean())


def _by_copies(network: nn.Module, one: Tensor) -> GraphFinding | None:
    reference: list[_Value] = []
    for size in (n for n in COPIES if n in sizes_for(tuple(one.shape[1:]))):
        batch = one.expand(size, *one.shape[1:]).contiguous()
        place = "one input" if size == 1 else f"{size} copies of one input"
        found = _traced(network, batch, place)
        if isinstance(found, GraphFinding):
            return found
        values = _values(found)
        reference = reference or values
        for value, other in _matched(reference, values):
            (low, high, mean), now = value.summary, other.summary
            scale = max(abs(low), abs(high), value.floor)
            moved = max(abs(a - b) for a, b in zip((low, high, mean), now, strict=True))
            if moved > _ROUNDING * scale:
                what = f"{value.step.name} of {place}"
                return GraphFinding("batch_size", value.step.where, what)
    return None


def _by_others(network: nn.Module, x: Tensor) -> GraphFinding | None:
    found = [_traced(network, x[list(places)], "other inputs") for places in (_ONE, _OTHER)]
    for item in found:
        if isinstance(item, GraphFinding):
            return item
    first, second = (_values(item) for item in found if isinstance(item, Trace))
    for value, other in _matched(first, second):
        a, b = value.numbers, other.numbers
        if a.shape != b.shape:
            continue
        scale = max(_largest(a), value.floor)
        same = ((a - b).abs() <= _SAME * scale) | (a == b)
        if float(same.double().mean()) < _SHARE - 1e-6:
            what = f"{value.step.name} of other inputs beside one"
            return GraphFinding("batch_size", value.step.where, what)
    return None


def _traced(network: nn.Module, batch: Tensor, where: str) -> Trace | GraphFinding:
    """Return the trace of a pass, or a finding if it cannot be followed."""
    try:
        return trace(network, batch)
    except Exception as error:
        return unread(network, batch, error, where)


def _values(found: Trace) -> list[_Value]:
    """Return the values between input and class scores, in the order of computation."""
    smallest = _TINY * _largest(found.x)
    return [
        _Value(step, numbers, max([smallest, *(_CANCELLED * _largest(t) for t in step.inputs)]))
        for _, step in found.living()
        if step.from_input and base(step.name) not in VIEWS
        for numbers in map(_real, step.outputs)
        if numbers.is_floating_point() and numbers.numel()
    ]


def _real(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _largest(tensor: Tensor) -> float:
    numbers = _real(tensor)
    if not numbers.is_floating_point() or not numbers.numel():
        return 0.0
    return float(numbers.abs().nan_to_num(0, 0, 0).max())


def _matched(first: list[_Value], second: list[_Value]) -> Iterator[tuple[_Value, _Value]]:
    """Yield the values of two passes that correspond to each other.

    One pass may have more values than the other, since the number of steps in which a library adds
    up or rearranges values depends on their size.
    """
    keys = [value.key for value in first], [value.key for value in second]
    if keys[0] == keys[1]:
        yield from zip(first, second, strict=True)
        return
    for a, b, length in SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks():
        yield from zip(first[a : a + length], second[b : b + length], strict=True)
