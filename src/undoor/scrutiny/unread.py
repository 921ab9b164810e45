"""Why a network could not be followed: by its own error, or by one that watching it makes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.scrutiny.doubt import GraphFinding, first_line


def unread(network: nn.Module, x: Tensor, error: Exception, where: str) -> GraphFinding:
    """Return the finding for inputs that could not be followed through a network.

    Parameters
    ----------
    x
        The inputs [N, ...].
    error
        That following them raised.
    where
        Which inputs they are.
    """
    try:
        with torch.no_grad():
            network(x)
    except Exception as plain:
        return GraphFinding("fails", where, first_line(plain))
    return GraphFinding("disconnected", where, f"{first_line(error)}, while it was read")
