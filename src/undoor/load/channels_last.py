"""Networks that take images [N, H, W, C], as those of Keras and TensorFlow do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.spaces.images import IMAGES

Shape = tuple[int, ...]
# Grey, colour, and colour with transparency; sides are longer.
CHANNELS = (1, 3, 4)


class ChannelsLast(nn.Module):
    """A network for images [N, H, W, C] that takes images [N, C, H, W]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the network for images [N, C, H, W]."""
        return self.network(x.permute(0, 2, 3, 1))


def stands_last(shape: Sequence[int]) -> bool:
    """Return whether the shape of an input has its channels last.

    Examples
    --------
    >>> stands_last((16, 16, 3)), stands_last((3, 16, 16)), stands_last((64, 4, 4))
    (True, False, False)
    """
    return (
        IMAGES.applies_to(tuple(shape)) and shape[2] in CHANNELS and min(shape[:2]) > max(CHANNELS)
    )


def first(shape: Sequence[int]) -> Shape:
    """Return (height, width, channels) as (channels, height, width)."""
    return (shape[2], shape[0], shape[1])


def channels_first(network: nn.Module, shape: Sequence[int]) -> tuple[nn.Module, Shape]:
    """Return a network for images with their channels first, and the shape of its inputs.

    Parameters
    ----------
    network
        Takes inputs of `shape`.
    shape
        Of one input; returned as it is unless its channels are last.

    Raises
    ------
    UndoorError
        The shape has the channels last, and the network takes no such images.
    """
    if not stands_last(shape):
        return network, tuple(shape)
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(2, *shape))
    except Exception as error:
        raise UndoorError(
            f"the channels are last in the input_shape {tuple(shape)}, but the network fails on "
            f"such images ({(str(error).splitlines() or [type(error).__name__])[0]}); if it takes "
            f"[N, C, H, W], set input_shape = {list(first(shape))}"
        ) from error
    finally:
        network.train(training)
    return ChannelsLast(network), first(shape)
