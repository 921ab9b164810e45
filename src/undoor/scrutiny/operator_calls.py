"""What one call of an operator does: what it writes, combines with the input, and draws."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from undoor.device import precise
from undoor.scrutiny.operators import WITH_NUMBERS, base


def written_arguments(function: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """Return the arguments that an operator changes in place."""
    out = []
    for place, argument in enumerate(function._schema.arguments):
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        value = args[place] if place < len(args) else kwargs.get(argument.name)
        out += [t for t in tree_leaves(value) if isinstance(t, Tensor)]
    return out


def combined_numbers(
    function: Any, args: Any, inputs: tuple[Tensor, ...], follows: tuple[bool, ...]
) -> tuple[float, ...]:
    """Return the numbers, and the ranges of tensors, that an operator combines with the input."""
    name = base(function._schema.name.partition("::")[2])
    if name not in WITH_NUMBERS or not any(follows):
        return ()
    found = [float(a) for a in args if isinstance(a, int | float) and not isinstance(a, bool)]
    for tensor, from_input in zip(inputs, follows, strict=True):
        if not from_input and tensor.numel():
            values = precise(tensor.detach())
            found += [float(values.min()), float(values.max())]
    return tuple(float(f"{number:.5g}") for number in found)


def is_random(function: Any, args: Any, kwargs: Any) -> bool:
    """Return whether a call draws random numbers.

    Attention and dropout do so only if they are to drop something.
    """
    if torch.Tag.nondeterministic_seeded not in function.tags:
        return False
    given = dict(zip((a.name for a in function._schema.arguments), args, strict=False)) | kwargs
    name = function._schema.name
    if "attention" in name:
        return float(given.get("dropout_p", 0.0) or 0.0) > 0
    if "dropout" in name or "rrelu" in name:
        return bool(given.get("train", given.get("training", False)))
    return True
