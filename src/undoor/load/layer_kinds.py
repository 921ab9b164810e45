"""The modules that stand for functions of an exported graph, made of the functions' tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError

aten = torch.ops.aten
# From the function's tensors (None where it has none), its other arguments in its order, and the
# number of axes of its input (4 where that is unknown).
Make = Callable[[Sequence[Tensor | None], Sequence[Any], int], nn.Module | None]
META = torch.device("meta")
# Stands among the other arguments of a product whose weight is stored as [inputs, outputs].
TRANSPOSED = "transposed"


def _filled(layer: nn.Module, **tensors: Tensor | None) -> nn.Module:
    """Fill a layer that was built without memory with these tensors."""
    for name, value in tensors.items():
        if name in layer._buffers:
            layer._buffers[name] = value
        else:
            layer._parameters[name] = (
                None if value is None else nn.Parameter(value.detach(), requires_grad=False)
            )
    return layer


def _conv(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module | None:
    weight, bias = tensors
    stride, padding, dilation, groups = [*others, *[1, 0, 1, 1][len(others) :]][:4]
    if weight is None or weight.dim() not in (3, 4):
        return None
    kind: Any = nn.Conv1d if weight.dim() == 3 else nn.Conv2d
    size = weight.shape[2:]
    spread = [n if isinstance(n, int | str) else _spread(n, len(size)) for n in (stride, padding)]
    layer = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(size),
        spread[0],
        spread[1],
        dilation if isinstance(dilation, int) else _spread(dilation, len(size)),
        groups,
        bias=bias is not None,
        device=META,
    )
    return _filled(layer, weight=weight, bias=bias)


def _spread(values: Sequence[int], count: int) -> tuple[int, ...]:
    return tuple(values) if len(values) == count else tuple(values) * count


def _convolution(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    stride, padding, dilation, transposed, _, groups = others
    return None if transposed else _conv(tensors, (stride, padding, dilation, groups), d)


def _linear(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module | None:
    weight, bias = tensors
    if weight is None or weight.dim() != 2 or others:
        return None
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device=META)
    return _filled(layer, weight=weight, bias=bias)


def _product(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> nn.Module | None:
    weight, bias = tensors
    if weight is None or weight.dim() != 2 or d < 2:
        return None
    if list(others) != [TRANSPOSED]:
        return _linear(tensors, others, d)
    return _linear((weight.T, bias), (), d)


def _batch_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    if others[0]:
        raise UndoorError(
            "the graph normalises by the statistics of each batch (a batch norm exported in "
            "training mode); "
            "call model.eval() and export it again"
        )
    return _eval_batch_norm(tensors, others[1:], d)


def _eval_batch_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    weight, bias, mean, variance = tensors
    if mean is None or variance is None or d > 4:
        return None
    kind: Any = nn.BatchNorm2d if d == 4 else nn.BatchNorm1d
    layer = kind(len(mean), eps=others[1], affine=weight is not None, device=META)
    counted = torch.zeros((), dtype=torch.long)
    stored = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}
    return _filled(layer, **stored, num_batches_tracked=counted)


def _layer_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    weight, bias = tensors
    shape, eps = others[0], others[1] if len(others) > 1 else 1e-5
    layer = nn.LayerNorm(
        shape, eps, elementwise_affine=weight is not None, bias=bias is not None, device=META
    )
    return _filled(layer, weight=weight, bias=bias)


def _rms_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    eps = others[1] if len(others) > 1 else None
    layer = nn.RMSNorm(others[0], eps, elementwise_affine=tensors[0] is not None, device=META)
    return _filled(layer, weight=tensors[0])


def _group_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> Any:
    weight, bias = tensors
    if weight is None or bias is None:
        return None
    layer = nn.GroupNorm(others[0], len(weight), others[1], device=META)
    return _filled(layer, weight=weight, bias=bias)


def _native_group_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    return _group_norm(tensors, others[-2:], d)


def _softmax(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    return nn.Softmax(dim=others[0])


def _log_softmax(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    return nn.LogSoftmax(dim=others[0])


# For each function, what makes its layer, and the places of its arguments that are tensors.
_KNOWN: dict[Any, tuple[Make, tuple[int, ...]]] = {
    aten.conv1d.default: (_conv, (1, 2)),
    aten.conv1d.padding: (_conv, (1, 2)),
    aten.conv2d.default: (_conv, (1, 2)),
    aten.conv2d.padding: (_conv, (1, 2)),
    aten.convolution.default: (_convolution, (1, 2)),
    aten.linear.default: (_linear, (1, 2)),
    aten.addmm.default: (_product, (1, 2)),
    aten.mm.default: (_product, (1, 2)),
    aten.matmul.default: (_product, (1, 2)),
    aten.batch_norm.default: (_batch_norm, (1, 2, 3, 4)),
    aten._native_batch_norm_legit_no_training.default: (_eval_batch_norm, (1, 2, 3, 4)),
    aten.layer_norm.default: (_layer_norm, (2, 3)),
    aten.native_layer_norm.default: (_layer_norm, (2, 3)),
    aten.rms_norm.default: (_rms_norm, (2,)),
    aten.group_norm.default: (_group_norm, (2, 3)),
    aten.native_group_norm.default: (_native_group_norm, (1, 2)),
    aten.softmax.int: (_softmax, ()),
    aten._softmax.default: (_softmax, ()),
    aten.log_softmax.int: (_log_softmax, ()),
    aten._log_softmax.default: (_log_softmax, ()),
}
LAYERS = {function: make for function, (make, _) in _KNOWN.items()}
TENSORS = {function: slots for function, (_, slots) in _KNOWN.items()}
