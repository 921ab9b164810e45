"""Why a network could not be traced: its own error, or an error of the tracing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.scrutiny.doubt import GraphFinding, first_line


def unread(network: nn.Module, x: Tensor, error: Exception, where: str) -> GraphFinding:
    """Return the finding for inputs whose pass could not be traced.

    Parameters
    ----------
    x
        The inputs [N, ...].
    error
        The exception that the tracing raised.
    where
        What the inputs are, for the message.
    """
    try:
        with torch.no_grad():
            network(x)
    except Exception as plain:
        return GraphFinding("fails", where, first_line(plain))
    return GraphFinding("disconnected", where, f"{first_line(error)}, while it was traced")
