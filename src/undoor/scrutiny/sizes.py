"""Whether a network computes otherwise in batches of other sizes, or when gradients are wanted.

What only happens for some inputs shows in no class score; that other operators run shows always.
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

# What is used alone, and what batches usually are: where others are asked about, a graph's own
# description or its code is read instead.
SIZES = (1, 2, 3, 4, 5, 7, 8, 16, 32, 64)
REFERENCE = 3
# Input values that one pass may hold with all that is computed from them.
_MAX_VALUES = 100_000
# Which a library writes in several ways, as it suits the size.
_PLAIN = VIEWS | SELECTS | CONSTANTS | {"add", "mul", "sub", "div", "sum", "cat", "stack", "split"}
_PLAIN |= {"split_with_sizes", "unbind", "chunk", "unsafe_split", "arange", "zeros", "ones", "full"}


def sizes_for(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of batches that are tried with inputs of this shape."""
    most = max(REFERENCE, _MAX_VALUES // math.prod(shape))
    return tuple(size for size in SIZES if size <= most)


def read_sizes(network: nn.Module, x: Tensor, reference: Trace) -> Iterator[GraphFinding]:
    """Yield what differs between batches of several sizes.

    Parameters
    ----------
    x
        Inputs to fill them with [N, ...].
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
    """Yield what differs where gradients are wanted."""
    odd = _difference(_operators(reference), _operators(with_gradients))
    if odd:
        yield GraphFinding("gradient_mode", "passes with gradients", odd)


def _operators(found: Trace) -> Counter[str]:
    """Return how often each operator runs that more than rearranges or adds up."""
    names = (base(step.name) for step in found.steps if step.from_input)
    return Counter(kind for kind in map(_kind, names) if kind not in _PLAIN)


def _kind(name: str) -> str:
    """Return one name for what a library computes in several ways, as it suits the size."""
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
    """Return the operator that gets other numbers.

    A library adds biases in a step of its own, or not, as it suits the size.
    """
    for name, numbers in expected.items():
        other = got.get(name, [])
        same = other == numbers if len(other) == len(numbers) else set(other) == set(numbers)
        if not same and not (name == "add" and _is_more(other, numbers)):
            return name
    return None


def _is_more(first: list[tuple[float, ...]], second: list[tuple[float, ...]]) -> bool:
    """Return whether one of them, of another length, holds all of the other."""
    fewer, more = sorted((first, second), key=len)
    return len(fewer) < len(more) and set(fewer) <= set(more)


def _numbers(found: Trace) -> dict[str, list[tuple[float, ...]]]:
    """Return the numbers that do not come from the input, where they meet values that do.

    By operator, in order.
    """
    out: dict[str, list[tuple[float, ...]]] = {}
    for _, step in found.living():
        if step.numbers:
            out.setdefault(base(step.name), []).append(step.numbers)
    return out
