"""The last layer of a network that the attacker controls."""

from __future__ import annotations

from torch import nn

from undoor.errors import UndoorError


def head(network: nn.Module) -> nn.Linear:
    """Return the linear layer that was defined last, which in classifiers gives the logits.

    Its inputs are the penultimate features.

    Raises
    ------
    UndoorError
        There is none.

    Examples
    --------
    >>> head(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    Linear(in_features=3, out_features=2, bias=True)
    """
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1:]
    if not last:
        raise UndoorError(
            "expected a network that ends with a linear layer, got one without any; "
            "use another network or another attack"
        )
    return last[0]
