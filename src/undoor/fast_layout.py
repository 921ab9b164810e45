"""Whether a network may be laid out for speed: on CPUs convolutions are fastest with the channels
last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Layers that deliver maps [N, C, H, W].
MAPPING = (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm)


@torch.no_grad()
def takes_channels_last(model: nn.Module, x: Tensor, *, maps: bool) -> bool:
    """Return whether a model runs where maps [N, C, H, W] have their channels last in memory, also
    behind layers after which a search changes them.

    Parameters
    ----------
    x
        Raw inputs [N, ...] to try it on.
    maps
        Whether these are maps themselves.
    """
    if not maps:
        return True

    def turn(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        if output.dim() == 4:
            return output.contiguous(memory_format=torch.channels_last)
        return output

    modules = [m for m in model.modules() if isinstance(m, MAPPING)]
    hooks = [module.register_forward_hook(turn) for module in modules]
    try:
        model(x.contiguous(memory_format=torch.channels_last))
    except RuntimeError:
        return False
    finally:
        for hook in hooks:
            hook.remove()
    return True
