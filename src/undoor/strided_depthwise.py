"""Gradients of depthwise convolutions with a stride, which a CPU computes slowly in bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from undoor.device import CPU


class QuickGradients(TorchFunctionMode):
    """While open, the gradients of such convolutions are computed by convolutions without stride.

    These are the same numbers. In an EfficientNet-Lite0 at 224 pixels, four of 49 convolutions take
    four fifths of the backward pass otherwise (`bench/scripts/strided_depthwise.py`).
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute a convolution so that its gradient is quick, where that is the same."""
        if func is not torch.conv2d:
            return func(*args, **(kwargs or {}))
        return _conv2d(*args, **(kwargs or {}))


def has_strided_depthwise(network: nn.Module) -> bool:
    """Return whether a network has a depthwise convolution with a stride.

    >>> has_strided_depthwise(nn.Conv2d(4, 4, 3, stride=2, groups=4))
    True
    >>> has_strided_depthwise(nn.Conv2d(4, 4, 3, groups=4))
    False
    """
    return any(
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
        and max(module.stride) > 1
        for module in network.modules()
    )


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    precise = torch.is_autocast_enabled("cpu") and x.device.type == CPU.type
    kind = torch.get_autocast_dtype("cpu") if precise else x.dtype
    strides = _two(stride)
    if (
        not x.requires_grad
        or kind != torch.bfloat16
        or x.device.type != CPU.type
        or x.dim() != 4
        or weight.requires_grad
        or not groups == x.shape[1] == weight.shape[0] > 1
        or max(strides) == 1
        or _two(dilation) != (1, 1)
        or isinstance(padding, str)
        or any(p >= k for p, k in zip(_two(padding), weight.shape[2:], strict=True))
    ):
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
    parts = (None if part is None else part.to(kind) for part in (x, weight, bias))
    found: Tensor = _Depthwise.apply(*parts, strides, _two(padding))
    return found


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose gradient is one without a stride."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.sizes = (x.shape[2:], stride, padding)
        return F.conv2d(x, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        sides, stride, padding = ctx.sizes
        # What each input pixel got, were the stride 1: zeros between, before and behind.
        kernel = weight.shape[2:]
        before = [k - 1 - p for k, p in zip(kernel, padding, strict=True)]
        shape = (*gradient.shape[:2], *(n + k - 1 for n, k in zip(sides, kernel, strict=True)))
        spread = torch.empty(
            shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last
        ).zero_()
        rows, columns = (
            slice(b, b + (n - 1) * step + 1, step)
            for b, n, step in zip(before, gradient.shape[2:], stride, strict=True)
        )
        spread[:, :, rows, columns] = gradient
        found = F.conv2d(spread, weight.flip(-1, -2), groups=len(weight))
        return found, None, None, None, None


def _two(value: Any) -> tuple[Any, Any]:
    return (value, value) if isinstance(value, int) else tuple(value)
