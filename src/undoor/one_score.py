"""Networks with one score per input, as those trained to say yes or no have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.plain_weights import shared_copy
from undoor.sigmoid import lies_between_0_and_1, logits_of, seems_sigmoid, take_off
from undoor.vocabulary import Output

# What `output` says of them: the score itself, or its probability.
LOGIT: Output = "logit"
PROBABILITY: Output = "probability"


class TwoClasses(nn.Module):
    """A network with one score per input, as one with a logit for "no" and one for "yes".

    The first logit is always 0, so that the second is the score, and the class of "yes" is
    predicted where that is positive.

    Parameters
    ----------
    network
        Returns [N, 1] or [N].
    probability
        Whether that is the probability of "yes" in the place of its logit.
    """

    def __init__(self, network: nn.Module, *, probability: bool) -> None:
        super().__init__()
        self.network, self.probability = network, probability

    def forward(self, x: Tensor) -> Tensor:
        """Return the two logits [N, 2] of normalised inputs [N, ...]."""
        score = self.network(x).reshape(-1, 1)
        if self.probability:
            score = logits_of(score)
        return torch.cat([torch.zeros_like(score), score], 1)


@torch.no_grad()
def with_two_classes(network: nn.Module, x: Tensor, output: Output) -> nn.Module:
    """Return the network, or `TwoClasses` of it where `output` promises one score per input.

    Parameters
    ----------
    network
        A sigmoid at its end is taken off where its logit is as good.
    x
        Normalised inputs [N, ...] to try it on; where it fails, the first pass reports it.
    output
        What the network was promised to return.

    Raises
    ------
    UndoorError
        It returns something else.
    """
    if output not in (LOGIT, PROBABILITY):
        return network
    try:
        # A copy: what a first pass changes in the network is found out later.
        raw = shared_copy(network)(x)
    except Exception:
        return network
    _require_one(raw, len(x), output)
    if output == PROBABILITY:
        if not lies_between_0_and_1(raw):
            raise UndoorError(
                f"output = {output!r} was promised, but the network's outputs do not lie between "
                f"0 and 1; set output = {LOGIT!r}"
            )
        return TwoClasses(network, probability=not take_off(network, x))
    if lies_between_0_and_1(raw) and seems_sigmoid(network, x):
        raise UndoorError(
            "expected a logit, but the network's outputs stay between 0 and 1, as behind a "
            f"sigmoid; set output = {PROBABILITY!r}"
        )
    return TwoClasses(network, probability=False)


def _require_one(raw: object, inputs: int, output: Output) -> None:
    if isinstance(raw, Tensor) and tuple(raw.shape) in ((inputs,), (inputs, 1)):
        return
    got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
    raise UndoorError(
        f"output = {output!r} was promised: expected one score per input, [N, 1] or [N], got "
        f"{got}; set output = 'logits', 'probabilities' or 'sigmoid' for one per class"
    )
