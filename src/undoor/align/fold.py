"""Fold corrections into the batch normalisation before them, where nothing is lost."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.device import beside
from undoor.sites import INSTANCE_NORMS, NORMS, attach, is_frozen_norm, shared_copy

FOLDABLE = (*NORMS, *INSTANCE_NORMS)
# Without an activation of their own.
FROZEN_FOLDABLE = ("FrozenBatchNorm", "FrozenBatchNorm1d", "FrozenBatchNorm2d")


def without_bounds(corrections: Mapping[str, Correction]) -> dict[str, Correction]:
    """Return the corrections without their bounds: the linear parts alone."""
    return {
        name: Correction(
            item.scale,
            item.shift,
            torch.full_like(item.low, -torch.inf),
            torch.full_like(item.high, torch.inf),
            item.down,
            item.up,
        )
        for name, item in corrections.items()
    }


def fold(classifier: Classifier, corrections: Mapping[str, Correction]) -> Classifier:
    """Return a corrected copy without a wrapper wherever that changes no output.

    An unbounded correction of each channel by itself, behind a batch or instance norm, becomes that
    norm's weight and bias (of a copy: `classifier` stays as it is); every other correction becomes
    a `Site`, as with `attach`. A fully folded network has the state dict's keys of the bare one.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    >>> classifier = Classifier(net, input_shape=(3, 8, 8))
    >>> half = Correction(*(torch.full((4, 1, 1), v) for v in (0.5, 1.0, -torch.inf, torch.inf)))
    >>> x = torch.rand(2, 3, 8, 8)
    >>> folded = fold(classifier, {"network.1": half})
    >>> torch.allclose(folded(x), attach(classifier, {"network.1": half})(x), atol=1e-6)
    True
    """
    folded = shared_copy(classifier)
    rest: dict[str, nn.Module] = {}
    for name, correction in corrections.items():
        inner = dict(folded.named_modules()).get(name)
        if inner is not None and folds(inner) and _is_affine(correction):
            path, _, last = name.rpartition(".")
            setattr(folded.get_submodule(path), last, _with_affine(inner, correction))
        else:
            rest[name] = correction
    return attach(folded, rest)


def folds(module: nn.Module) -> bool:
    """Return whether a linear map per channel behind `module` can become its weight and bias.

    A norm that does nothing but normalise, as one with an activation of its own behind it does not.
    """
    if is_frozen_norm(module):
        return type(module).__name__ in FROZEN_FOLDABLE
    return any(
        isinstance(module, kind) and type(module).forward is kind.forward for kind in FOLDABLE
    )


def _is_affine(correction: Correction) -> bool:
    unbounded = bool((correction.low == -torch.inf).all() and (correction.high == torch.inf).all())
    per_channel = correction.scale.numel() == len(correction.scale)
    return unbounded and correction.down is None and per_channel


def _with_affine(norm: nn.Module, correction: Correction) -> nn.Module:
    """Return a copy of a norm followed by z -> scale z + shift."""
    changed: Any = copy.deepcopy(norm)
    like = next(norm.buffers(), next(norm.parameters(), correction.scale))
    scale, shift = beside(like, correction.scale.flatten(), correction.shift.flatten())
    if is_frozen_norm(norm):
        changed.weight = changed.weight * scale
        changed.bias = changed.bias * scale + shift
        return cast("nn.Module", changed)
    weight, bias = changed.weight, changed.bias
    old_weight = weight if isinstance(weight, Tensor) else torch.ones_like(scale)
    old_bias = bias if isinstance(bias, Tensor) else torch.zeros_like(shift)
    changed.affine = True
    changed.weight = nn.Parameter(old_weight.detach() * scale, requires_grad=False)
    changed.bias = nn.Parameter(old_bias.detach() * scale + shift, requires_grad=False)
    return cast("nn.Module", changed)
