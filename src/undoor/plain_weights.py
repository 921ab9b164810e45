"""Copies of networks whose weights are plain tensors.

Weight and spectral norm, pruning masks and parametrisations store a weight in parts and compute it
in each pass. With the computed weight in their place, the network predicts the same and can be
copied, corrected and exported like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from undoor.errors import UndoorError

Module = TypeVar("Module", bound=nn.Module)
QUANTISING = ("torch.ao.", "torch.nn.quantized.", "torch.nn.qat.", "torch.quantization.")


@torch.no_grad()  # With gradients, a script's copy would remember what it is a copy of.
def plain_copy(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode and float32, without parametrisations.

    The network stays as it is.

    Raises
    ------
    UndoorError
        It has lazy layers without weights, quantises, or cannot be copied.
    """
    _require_weights(network)
    _require_floating_point(network)
    try:
        twin = detached_copy(network)
    except Exception as error:
        raise UndoorError(
            f"the network cannot be copied ({_first_line(error)}); build it again from its "
            "architecture and state dict"
        ) from error
    twin = twin.eval().float()
    for name, module in list(twin.named_modules()):
        if not isinstance(module, torch.jit.ScriptModule):
            try:
                _settle(module)
            except Exception as error:
                raise UndoorError(
                    f"the weights of {name or 'the network'} cannot be computed from their parts "
                    f"({_first_line(error)}); remove the parametrisation and save the model again"
                ) from error
    return twin


def detached_copy(module: Module, memo: Mapping[int, object] | None = None) -> Module:
    """Return a deep copy, even of a module that stores results with an autograd history.

    Parameters
    ----------
    module
        Stays unchanged. PyTorch refuses to copy tensors with a history; the copy holds their
        values.
    memo
        As for `copy.deepcopy`.
    """
    return copy.deepcopy(module, {**detached(module), **(memo or {})})


def shared_copy(module: Module) -> Module:
    """Return a copy of the modules that shares all parameter and buffer tensors."""
    tensors = [*module.parameters(), *module.buffers()]
    return detached_copy(module, {id(tensor): tensor for tensor in tensors})


def detached(module: nn.Module) -> dict[int, Any]:
    """Return copies of the tensors of a module that `copy.deepcopy` refuses, by their ids."""
    computed = {id(tensor): tensor.detach().clone() for tensor in _computed(module)}
    # Nor can a buffer be copied whose size is not known yet.
    empty = {id(b): UninitializedBuffer() for b in module.buffers() if is_lazy(b)}
    return {**computed, **empty}


def _require_weights(network: nn.Module) -> None:
    values = (*network.named_parameters(), *network.named_buffers())
    lazy = [name for name, value in values if is_lazy(value)]
    if lazy:
        raise UndoorError(
            f"the network has lazy layers without weights yet ({', '.join(lazy[:3])}); run it once "
            "on an input, or load its weights, first"
        )


def _require_floating_point(network: nn.Module) -> None:
    found = [
        f"{type(module).__name__} in {name}" if name else type(module).__name__
        for name, module in network.named_modules()
        if any(kind.__module__.startswith(QUANTISING) for kind in type(module).__mro__)
    ]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise UndoorError(
            f"expected a network in floating point, got one that quantises ({found[0]}{more}); "
            "give the network and its weights as they were before quantisation was prepared"
        )


def _computed(network: nn.Module) -> Iterator[Tensor]:
    """Yield tensors with an autograd history that modules store."""
    for module in network.modules():
        for value in (*vars(module).values(), *module._buffers.values()):
            inside = value.values() if isinstance(value, dict) else value
            parts = list(inside) if isinstance(value, dict | list | tuple) else [value]
            yield from (p for p in parts if isinstance(p, Tensor) and p.grad_fn is not None)


def _settle(module: nn.Module) -> None:
    """Replace each weight that is stored in parts by its value."""
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)
    if not parametrize.is_parametrized(module):
        return
    # Removal takes the properties off the class, which the original shares.
    kind = type(module)
    members = {k: v for k, v in vars(kind).items() if k not in ("__dict__", "__weakref__")}
    module.__class__ = type(kind.__name__, kind.__bases__, members)
    for name in list(module.parametrizations):  # type: ignore[arg-type]
        # A weight that differs from call to call is left for the scrutiny to find.
        if torch.equal(getattr(module, name), getattr(module, name)):
            parametrize.remove_parametrizations(module, name)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
