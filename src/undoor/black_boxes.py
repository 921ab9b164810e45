"""Models that are no networks: they answer rows, and have no gradients and no layers."""

from __future__ import annotations

from torch import Tensor, nn


class BlackBox(nn.Module):
    """A model of rows that is asked alone, as decision trees are.

    It takes what a network would see of rows, [N, width], and returns logits [N, K].
    """

    def thresholds(self, place: int) -> Tensor | None:
        """Return where answers may change along one of the numbers that it takes.

        Parameters
        ----------
        place
            Of the number in what it sees of a row.

        Returns
        -------
        Tensor or None
            The thresholds, sorted, one as often as it is used; None where they are not known.
        """
        del place
        return None


def black_box_in(network: nn.Module) -> BlackBox | None:
    """Return the black box within a network; None where there is none."""
    return next((part for part in network.modules() if isinstance(part, BlackBox)), None)
