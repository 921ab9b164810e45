"""The first pass through a network: whatever is wrong with the network shows here."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.batch_size import failure, require_another_size
from undoor.dense_parts import dense_parts
from undoor.errors import UndoorError
from undoor.promised_output import (
    exchange_last,
    is_distribution,
    require_promised,
    require_scores,
)
from undoor.tasks.task import Task
from undoor.vocabulary import Output


@torch.no_grad()
def checked_outputs(
    network: nn.Module, x: Tensor, task: Task, output: Output, *, returns_log: bool
) -> tuple[int, bool]:
    """Run a network for the first time, and check what it returns.

    Parameters
    ----------
    network
        In evaluation mode. Its last layer is changed back to a softmax where the logarithm that
        `softmax_to_log_softmax` put there does not give probabilities.
    x
        Normalised inputs [N, ...].
    task
        What the outputs mean.
    output
        What the network was promised to return.
    returns_log
        Whether its last layer was changed so that it returns logits.

    Returns
    -------
    tuple
        The number of outputs K, and whether the network still returns logits in the place of
        probabilities or scores.

    Raises
    ------
    UndoorError
        The network fails on these inputs or takes batches of one size only, holds or returns
        values that are not finite, or returns something other than `task` and `output` say.
    """
    _require_finite_weights(network)
    try:
        raw = network(x)
    except Exception as error:
        raise failure(network, x, error) from error
    require_another_size(network, x)
    raw = task.require(raw)
    if not bool(torch.isfinite(raw).all()):
        raise UndoorError(
            "the network returns NaN or infinity for an input within its bounds; "
            "check the weights, bounds, mean and std"
        )
    if not task.scores:
        return int(raw.shape[1]), returns_log
    if output == "sigmoid":
        if not returns_log:
            require_scores(raw)
        return int(raw.shape[1]), returns_log
    if returns_log and not is_distribution(raw.exp()):
        # The softmax was not the last operation after all; the network keeps it.
        exchange_last(network, nn.Softmax(dim=-1))
        returns_log = False
        raw = network(x)
    promised = raw.exp() if returns_log else raw
    require_promised(output, promised, network, x)
    return int(raw.shape[1]), returns_log


def _require_finite_weights(network: nn.Module) -> None:
    bad = [
        name
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor) and not all(map(_is_finite, dense_parts(value)))
    ]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise UndoorError(
            f"the weights hold NaN or infinite values ({bad[0]}{more}); "
            "export the model again from a good checkpoint"
        )


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
