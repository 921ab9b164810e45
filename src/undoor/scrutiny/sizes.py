"""Whether a network runs other operators in batches of other sizes, or with gradients.

A switch that acts only on some inputs does not show in class scores, but its operators show in
every pass.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from undoor.scrutiny.doubt import GraphFinding
from undoor.scrutiny.operators import CONSTANTS, DISTANCES, PRODUCTS, SELECTS, VIEWS, base
from undoor.scrutiny.trace import Trace, trace
from undoor.scrutiny.unread import unread

# Usual sizes of batches; comparisons with others are found in the graph or the code of a network.
SIZES = (1, 2, 3, 4, 5, 7, 8, 16, 32, 64)
REFERENCE = 3
# The largest number of input values in one pass, since all that is computed from them is stored.
_MAX_VALUES = 100_000
# A library combines these operators in several ways, depending on the size.
_PLAIN = VIEWS | SELECTS | CONSTANTS | {"add", "mul", "sub", "div", "sum", "cat", "stack", "split"}
_PLAIN |= {"split_with_sizes", "unbind", "chunk", "unsafe_split", "arange", "zeros", "ones", "full"}


def sizes_for(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of batches that are tried with inputs of this shape."""
    max_size = max(REFERENCE, _MAX_VALUES // math.prod(shape))
    return tuple(size for size in SIZES if size <= max_size)


def read_sizes(network: nn.Module, x: Tensor, reference: Trace) -> Iterator[GraphFinding]:
    """Yield the first difference between batches of several sizes.

    Parameters
    ----------
    x
        Inputs [N, ...] of which the batches are made.
    """
    expected, numbers = _operators(reference), _numbers(reference)
    for size in sizes_for(tuple(x.shape[1:])):
        if size == len(reference.x):
            continue
        batch = x[torch.arange(size, device=x.device) % len(x)]
        try:
            found = trace(network, batch)
        except Exception as error:
            yield unread(network, batch, error, f"batches of {size}")
            return
        if odd := _difference(expected, _operators(found)):
            yield GraphFinding("batch_size", f"batches of {size}", odd)
            return
        if odd := _other_numbers(numbers, _numbers(found)):
            yield GraphFinding("batch_size", f"batches of {size}", odd)
            return


def read_modes(reference: Trace, with_gradients: Trace) -> Iterator[GraphFinding]:
    """Yield the difference between passes without and with gradients."""
    odd = _difference(_operators(reference), _operators(with_gradients))
    if odd:
        yield GraphFinding("gradient_mode", "passes with gradients", odd)


def _operators(found: Trace) -> Counter[str]:
    """Return how often each operator runs, except those that rearrange or add up values."""
    names = (base(step.name) for step in found.steps if step.from_input)
    return Counter(kind for kind in map(_kind, names) if kind not in _PLAIN)


def _kind(name: str) -> str:
    """Return one name for operators between which a library chooses by the size."""
    if name in PRODUCTS:
        return "product"
    if name in DISTANCES:
        return "distance"
    return "attention" if "attention" in name else name


def _difference(expected: Counter[str], got: Counter[str]) -> str | None:
    odd = (got - expected) or (expected - got)
    return next(iter(odd), None)


def _other_numbers(
    expected: dict[str, list[tuple[float, ...]]], got: dict[str, list[tuple[float, ...]]]
) -> str | None:
    """Return the first operator that is run with other numbers.

    Depending on the size, a library adds biases in a separate step.
    """
    for name, numbers in expected.items():
        other = got.get(name, [])
        same = other == numbers if len(other) == len(numbers) else set(other) == set(numbers)
        if not same and not (name == "add" and _is_more(other, numbers)):
            return name
    return None


def _is_more(first: list[tuple[float, ...]], second: list[tuple[float, ...]]) -> bool:
    """Return whether the longer list contains all items of the shorter one."""
    fewer, more = sorted((first, second), key=len)
    return len(fewer) < len(more) and set(fewer) <= set(more)


def _numbers(found: Trace) -> dict[str, list[tuple[float, ...]]]:
    """Return the numbers with which values of the input are combined, by operator, in order."""
    out: dict[str, list[tuple[float, ...]]] = {}
    for _, step in found.living():
        if step.numbers:
            out.setdefault(base(step.name), []).append(step.numbers)
    return out
