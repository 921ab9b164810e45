"""Lazy layers, whose sizes are known only after a first pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from undoor.errors import UndoorError, first_line


def materialise(network: nn.Module, input_shape: Sequence[int]) -> None:
    """Run a network with lazy layers once, so that they get their weights.

    Parameters
    ----------
    network
        Changed in place; without lazy layers it is not run.
    input_shape
        Of one input.

    Raises
    ------
    UndoorError
        It fails on an input of that shape.
    """
    if not any(is_lazy(value) for value in (*network.parameters(), *network.buffers())):
        return
    training = network.training
    try:
        # The numbers drawn here are replaced; the caller's stay as they are.
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            network.eval()(torch.zeros(1, *input_shape))
    except Exception as error:
        reason = first_line(error)
        raise UndoorError(
            f"the network has lazy layers and failed on an input of shape {(1, *input_shape)}, "
            f"which gives them their sizes: {reason}; check input_shape"
        ) from error
    finally:
        network.train(training)
