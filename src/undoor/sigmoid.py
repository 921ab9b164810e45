"""Sigmoid scores: one independent score per class, as networks with binary losses return."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The precision of float32: a score closer than this to 0 or 1 has no gradient.
CLOSEST = 1.2e-7


def logits_of(scores: Tensor) -> Tensor:
    """Return the logarithm of p / (1 - p), finite for all scores in [0, 1].

    >>> logits_of(torch.tensor([0.5, 0.0, 1.0])).isfinite().all()
    tensor(True)
    """
    scores = scores.clamp(CLOSEST, 1 - CLOSEST)
    return scores.log() - (-scores).log1p()


def lies_between_0_and_1(raw: Tensor) -> bool:
    """Return whether all outputs [N, K] could be scores."""
    return bool(((raw >= 0) & (raw <= 1)).all())


@torch.no_grad()
def seems_sigmoid(network: nn.Module, x: Tensor) -> bool:
    """Return whether the outputs of a network look like sigmoid scores.

    They stay between 0 and 1 even for inputs [N, ...] far outside the usual range, where logits do
    not, and they come close to 0 or 1 there, which normalised logits do not.
    """
    last = [module for module in network.modules() if not list(module.children())][-1]
    try:
        raw = torch.cat([network(x * factor) for factor in (1, -10, 100, -1000)])
        near = bool(((raw > 0.99) | (raw < 0.01)).any()) or isinstance(last, nn.Sigmoid)
        varied = not torch.equal(raw, raw[:1].expand_as(raw))
        return lies_between_0_and_1(raw) and varied and near
    # A network may fail on such inputs.
    except Exception:
        return False


@torch.no_grad()
def take_off(network: nn.Module, x: Tensor) -> bool:
    """Replace a final sigmoid module by the identity, and return whether that worked.

    It works if the network then returns the logits of the same scores on x [N, ...]. Otherwise the
    network is left as it was.
    """
    leaves = [(name, m) for name, m in network.named_modules() if not list(m.children())]
    if not leaves or not isinstance(leaves[-1][1], nn.Sigmoid) or leaves[-1][1] is network:
        return False
    name, sigmoid = leaves[-1]
    path, _, last = name.rpartition(".")
    try:
        before = network(x)
        setattr(network.get_submodule(path), last, nn.Identity())
        if torch.allclose(network(x).sigmoid(), before, atol=1e-6):
            return True
    # Whatever is wrong with the network is reported in the first pass.
    except Exception:
        pass
    setattr(network.get_submodule(path), last, sigmoid)
    return False
