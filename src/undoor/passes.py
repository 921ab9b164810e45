"""How many inputs go through a network at a time, and who is notified of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from torch import nn

from undoor.plain_weights import shared_copy


@dataclass(frozen=True)
class Capacity:
    """How many inputs fit into memory in one pass through a network.

    Attributes
    ----------
    learning
        Inputs per pass with gradients.
    inference
        Inputs per pass without gradients.
    """

    learning: int
    inference: int


class PassCounter(Protocol):
    """Is called before each batch goes through a network; raising from it ends the work."""

    def before_pass(self, inputs: int) -> None:
        """Count a pass of `inputs` inputs that is about to be computed."""


class PassSettings(nn.Module):
    """How the passes of a model are run, which is no part of what the model is."""

    # Set by `with_gain`: what logits are multiplied by.
    gain: float = 1.0
    # Set by `limited`; None where memory is no concern.
    capacity: Capacity | None = None
    # Set by `counted`; None where nobody counts.
    counter: PassCounter | None = None

    def limited(self, capacity: Capacity | None) -> Self:
        """Return a copy with shared weights whose scans and repairs keep within `capacity`.

        Numbers may differ in their last digits from those of another capacity.
        """
        other = shared_copy(self)
        other.capacity = capacity
        return other

    def counted(self, counter: PassCounter | None) -> Self:
        """Return a copy with shared weights that notifies `counter` before each pass.

        So do copies of that copy, triggered, corrected or guarded. With None, nobody is notified.
        """
        other = shared_copy(self)
        other.counter = counter
        return other

    def with_gain(self, gain: float) -> Self:
        """Return a copy with shared weights whose logits are the network's times `gain`.

        Parameters
        ----------
        gain
            Positive. It is not part of the model: predictions and fingerprint stay the same.
        """
        other = shared_copy(self)
        other.gain = gain
        return other
