"""Networks without the wrappers that compile them or spread them over devices.

A wrapper hides the layers inside, so that no site and no head is found, and it may run the network
that it wraps instead of the copy that corrections are attached to.
"""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from undoor.errors import UndoorError
from undoor.plain_weights import detached

# By name, since importing the compiler takes seconds.
COMPILED = "OptimizedModule"
SPREAD = (nn.DataParallel, nn.parallel.DistributedDataParallel)
# With these, no process holds all weights.
SHARDED = ("FullyShardedDataParallel", "FSDPModule", "DTensor")


def unwrapped(network: nn.Module) -> nn.Module:
    """Return a network without `torch.compile`, DataParallel and DistributedDataParallel.

    The wrappers may be anywhere in it. The given network stays unchanged, and is returned itself if
    it has no wrapper.

    Raises
    ------
    UndoorError
        Its weights are spread over processes or missing, or the forward of a layer was replaced by
        a function that refers to this very network.
    """
    while (inner := _inside(network)) is not None:
        network = inner
    _require_whole(network)
    modules = list(network.modules())
    wrapped = [(module, inside) for module in modules if (inside := _inside(module)) is not None]
    replaced = [module for module in modules if "forward" in vars(module)]
    if not wrapped and not replaced:
        return network
    memo = detached(network)
    with torch.no_grad():
        # From the inside out: a wrapper may hold others.
        for module, inside in reversed(wrapped):
            memo[id(module)] = copy.deepcopy(inside, memo)
        twin = copy.deepcopy(network, memo)
    for module in replaced:
        if id(module) in memo and _inside(module) is None:
            _rebind(module, memo[id(module)])
    return twin


def _inside(module: nn.Module) -> nn.Module | None:
    """Return the module inside a wrapper; None for a module that is no wrapper."""
    if any(kind.__name__ == COMPILED for kind in type(module).__mro__):
        inner = module._modules.get("_orig_mod")
    elif isinstance(module, SPREAD):
        inner = module._modules.get("module")
    else:
        return None
    return inner


def _rebind(module: nn.Module, twin: nn.Module) -> None:
    """Make the copy of a module whose forward was replaced run the layers of the copy."""
    forward = vars(module)["forward"]
    compiled = hasattr(forward, "_torchdynamo_orig_callable")
    forward = inspect.unwrap(forward) if compiled else forward
    if isinstance(forward, types.MethodType) and forward.__self__ is module:
        del twin.forward
        if type(twin).forward is not forward.__func__:
            twin.forward = types.MethodType(forward.__func__, twin)
        return
    if not compiled and not (isinstance(forward, types.FunctionType) and _holds_network(forward)):
        return  # Copied with what it is bound to.
    raise UndoorError(
        f"the forward of a {type(module).__name__} was replaced by a function that holds on to the "
        "network it was made for, so that no copy of it can be corrected; give the network as its "
        "class defines it"
    )


def _holds_network(function: Callable[..., Any]) -> bool:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return any(isinstance(getattr(cell, "__self__", cell), nn.Module) for cell in cells)


def _require_whole(network: nn.Module) -> None:
    things = (*network.modules(), *network.parameters())
    names = {kind.__name__ for thing in things for kind in type(thing).__mro__}
    if sharded := names & set(SHARDED):
        raise UndoorError(
            f"the network's weights are spread over processes ({min(sharded)}); gather its full "
            "state dict, load it into the plain architecture and give that"
        )
    tensors = (*network.named_parameters(), *network.named_buffers())
    if empty := [name for name, value in tensors if value.is_meta]:
        raise UndoorError(
            f"the network has no weights ({empty[0]} is on the meta device); load a state dict"
        )
