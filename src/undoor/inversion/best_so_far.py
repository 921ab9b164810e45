"""The smallest working state of every candidate so far."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.device import array, from_array
from undoor.families.bank import TriggerBank


class BestSoFar:
    """The smallest working state of every candidate, and how many steps made none smaller."""

    def __init__(self, bank: TriggerBank, count: int, batch: int) -> None:
        self.bank = bank
        # One batch of a few images is noisy: success is judged on a running mean over about
        # the last fifty images.
        self.rate = min(0.3, batch / 27)
        self.state = {key: value.clone() for key, value in bank.state_dict().items()}
        self.size = torch.full((count,), torch.inf, device=bank.device)
        self.asr = torch.zeros(count, device=bank.device)
        self.idle = 0

    def update(self, sizes: Tensor, asr: Tensor, success: float) -> None:
        """Record the candidates that work and are smaller than before.

        Parameters
        ----------
        sizes, asr
            [M], of the candidates as they are in the bank.
        success
            The ASR from which on a candidate works, in [0, 1].
        """
        self.asr += self.rate * (asr - self.asr)
        better = (self.asr >= success) & (sizes < self.size)
        waiting = torch.isinf(self.size)
        shrunk = better & (sizes < 0.99 * self.size)
        self.idle = 0 if bool(shrunk.any()) or bool(waiting.all()) else self.idle + 1
        keep = better | waiting
        for key, value in self.bank.state_dict().items():
            self.state[key][keep] = value[keep]
        self.size[better] = sizes[better]

    def smallest(self, targets: Tensor, keep: int) -> list[int]:
        """Return the rows of the `keep` smallest candidates of each target.

        Where none has worked yet, of those with the highest ASR.
        """
        order = sorted(
            range(len(targets)), key=lambda row: (float(self.size[row]), -float(self.asr[row]))
        )
        chosen = ([row for row in order if targets[row] == t][:keep] for t in targets.unique())
        return sorted(row for rows in chosen for row in rows)

    def of_rows(self, bank: TriggerBank, rows: list[int]) -> BestSoFar:
        """Return the record of these rows; `bank` holds their candidates."""
        record = copy.copy(self)
        record.bank = bank
        record.state = {key: value[rows] for key, value in self.state.items()}
        record.size, record.asr = self.size[rows], self.asr[rows]
        return record

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its part of a checkpoint."""
        state = {f"state/{key}": array(value) for key, value in self.state.items()}
        idle = np.array(self.idle)
        return {"size": array(self.size), "asr": array(self.asr), "idle": idle, **state}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Resume from the `arrays` of as many candidates."""
        device = self.bank.device
        self.state = {k: from_array(arrays[f"state/{k}"], device) for k in self.state}
        self.size = from_array(arrays["size"], device)
        self.asr = from_array(arrays["asr"], device)
        self.idle = int(arrays["idle"])
