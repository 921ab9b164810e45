"""Build a network whose name and arguments stand in a file, and no larger than its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy

from undoor.errors import UndoorError

FACTOR = 2
# What is no burden is built all the same, so that a refusal can say which weights do not fit.
MIN_NUMBERS = 2**25
MIN_PARAMETERS = 2000
Result = TypeVar("Result")


def build_bounded(make: Callable[[], Result], states: Mapping[str, Mapping[str, Tensor]]) -> Result:
    """Return what `make` builds, which draws no numbers and takes no memory before it is known to
    fit.

    Parameters
    ----------
    states
        All state dicts of the checkpoint, one of which the network is to have.

    Raises
    ------
    UndoorError
        The network is no small one, and has more than twice as many parameters as are stored.
    """
    tensors = [value for state in states.values() for value in state.values()]
    stored = _stored(tensors)
    # Some networks cannot be built without memory, such as RegNet, which counts with tensors; what
    # is wrong with the arguments is for the second time to say.
    try:
        with torch.device("meta"), _bounded(stored, len(tensors)):
            make()
    except _TooLargeError:
        raise
    # Libraries raise anything on tensors without memory.
    except Exception:
        pass
    with _bounded(stored, len(tensors)):
        return make()


class _TooLargeError(UndoorError):
    """Raised amid the building, through whatever builds."""


@contextmanager
def _bounded(numbers: int, count: int) -> Iterator[None]:
    """Inside, no network gets far more parameters, or numbers in them, than these."""
    left = {
        "numbers": max(MIN_NUMBERS, FACTOR * numbers),
        "parameters": max(MIN_PARAMETERS, FACTOR * count),
    }

    def register(module: nn.Module, name: str, value: Any) -> None:
        if value is None:
            return
        left["parameters"] -= 1
        left["numbers"] -= 0 if is_lazy(value) else value.numel()
        if min(left.values()) < 0:
            raise _TooLargeError(
                f"the architecture and its arguments describe a network far larger than the "
                f"{numbers:,} numbers stored in {count:,} tensors; check that they and the weights "
                "belong together"
            )

    handle = register_module_parameter_registration_hook(register)
    try:
        yield
    finally:
        handle.remove()


def _stored(tensors: list[Tensor]) -> int:
    """Return how many numbers take room in a file: views can repeat one as often as they like."""
    plain = 0
    storages: dict[int, int] = {}
    for value in tensors:
        try:
            storage = Tensor.untyped_storage(value)
        except (NotImplementedError, RuntimeError):
            with suppress(NotImplementedError, RuntimeError):
                plain += Tensor.numel(value)
            continue
        storages[storage.data_ptr()] = storage.nbytes() // max(1, value.element_size())
    return plain + sum(storages.values())
