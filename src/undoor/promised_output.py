"""Checks that a network returns what was promised: logits, probabilities or sigmoid scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.sigmoid import lies_between_0_and_1, seems_sigmoid
from undoor.vocabulary import Output


def softmax_to_log_softmax(network: nn.Module) -> bool:
    """Replace a final softmax by its logarithm, which does not underflow; return if it worked.

    A probability of exactly 0 has no gradient, and trigger inversion needs one for every class.
    """
    leaves = [(name, m) for name, m in network.named_modules() if not list(m.children())]
    if not leaves or not isinstance(leaves[-1][1], nn.Softmax):
        return False
    if sum(isinstance(m, nn.Softmax) for _, m in leaves) != 1:
        return False
    if leaves[-1][1] is network:
        return False
    exchange_last(network, nn.LogSoftmax(dim=-1))
    return True


def exchange_last(network: nn.Module, leaf: nn.Module) -> None:
    """Replace the last module without children by `leaf`."""
    name = [name for name, module in network.named_modules() if not list(module.children())][-1]
    path, _, last = name.rpartition(".")
    setattr(network.get_submodule(path), last, leaf.eval())


def is_distribution(raw: Tensor) -> bool:
    """Return whether outputs [N, K] are probabilities that sum to 1."""
    sums = raw.sum(1)
    return bool((raw >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def require_scores(raw: Tensor) -> None:
    """Refuse outputs [N, K] that are not sigmoid scores, though these were promised.

    Raises
    ------
    UndoorError
        They sum to 1, or do not lie between 0 and 1.
    """
    # Scores of exactly 0 and 1 may sum to 1 by chance.
    if is_distribution(raw) and bool(((raw > 0) & (raw < 1)).any()):
        raise UndoorError(
            "output = 'sigmoid' was promised, but the network's outputs sum to 1; set output = "
            "'probabilities'"
        )
    if not lies_between_0_and_1(raw):
        raise UndoorError(
            "output = 'sigmoid' was promised, but the network's outputs do not lie between 0 "
            "and 1; set output = 'logits'"
        )


def require_promised(output: Output, raw: Tensor, network: nn.Module, x: Tensor) -> None:
    """Refuse outputs that are not the logits or probabilities that were promised.

    Parameters
    ----------
    output
        What was promised.
    raw
        The outputs [N, K] for x.
    network, x
        The network, for further passes, and its inputs [N, ...].

    Raises
    ------
    UndoorError
        The outputs are something else; the message says what.
    """
    distribution = is_distribution(raw)
    scores = not distribution and lies_between_0_and_1(raw)
    if output == "probabilities" and not distribution:
        found = (
            "lie between 0 and 1 and do not sum to 1, as scores behind a sigmoid do (trained "
            "with a binary loss); set output = 'sigmoid'"
            if scores
            else "do not sum to 1; set output = 'logits'"
        )
        raise UndoorError(
            f"output = 'probabilities' was promised, but the network's outputs {found}"
        )
    # Taken for logits, probabilities would hide every backdoor behind vanishing gradients.
    if output == "logits" and distribution:
        raise UndoorError(
            "expected logits, but the network's outputs are positive and sum to 1; "
            "set output = 'probabilities'"
        )
    if output == "logits" and scores and seems_sigmoid(network, x):
        raise UndoorError(
            "expected logits, but the network's outputs stay between 0 and 1, as scores "
            "behind a sigmoid do (trained with a binary loss); set output = 'sigmoid'"
        )
