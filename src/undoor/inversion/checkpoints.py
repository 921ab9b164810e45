"""Candidates and their optimiser as arrays, for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from undoor.device import array, from_array
from undoor.families.bank import TriggerBank

PREFIX = "adam"
BANK = "bank"


def bank_arrays(bank: TriggerBank) -> dict[str, NDArray[Any]]:
    """Return the parameters of candidates."""
    return {f"{BANK}/{key}": array(value) for key, value in bank.state_dict().items()}


def restore_bank(bank: TriggerBank, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Restore `bank_arrays`, among other arrays, into a bank of as many candidates."""
    bank.load_state_dict({key: from_array(arrays[f"{BANK}/{key}"]) for key in bank.state_dict()})


def adam_arrays(optimizer: torch.optim.Adam) -> dict[str, NDArray[Any]]:
    """Return the moments and step numbers of an optimiser."""
    return {
        f"{PREFIX}/{index}/{key}": array(value)
        for index, moment in optimizer.state_dict()["state"].items()
        for key, value in moment.items()
    }


def restore_adam(optimizer: torch.optim.Adam, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Restore `adam_arrays`, among other arrays, into an optimiser of the same parameters."""
    state = optimizer.state_dict()
    for key, value in arrays.items():
        if key.startswith(f"{PREFIX}/"):
            _, index, name = key.split("/")
            state["state"].setdefault(int(index), {})[name] = from_array(value)
    optimizer.load_state_dict(state)
