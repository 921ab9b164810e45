"""Whether a network runs with the channels last in memory, where convolutions are fastest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Layers that deliver maps [N, C, H, W].
MAPPING = (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm)


@torch.no_grad()
def takes_channels_last(model: nn.Module, x: Tensor, *, maps: bool) -> bool:
    """Return whether a model runs on maps [N, C, H, W] whose channels are last in memory.

    The maps are laid out so at the input and after each layer whose output a search may change.

    Parameters
    ----------
    x
        Raw inputs [N, ...] for the trial.
    maps
        Whether the inputs are maps themselves; if not, any layout will do.
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
