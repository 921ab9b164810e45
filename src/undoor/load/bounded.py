"""Build a network from a name and arguments in a file, no larger than its weights allow."""

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
# Small networks are built in any case, so that a refusal can name the weights that do not fit.
MIN_NUMBERS = 2**25
MIN_PARAMETERS = 2000
Result = TypeVar("Result")


def build_bounded(make: Callable[[], Result], states: Mapping[str, Mapping[str, Tensor]]) -> Result:
    """Build a network, after a trial without memory and random numbers to bound its size.

    Parameters
    ----------
    make
        Builds it.
    states
        All state dicts of the checkpoint, one of which the network is to have.

    Raises
    ------
    UndoorError
        The network is not small, and has more than twice as many parameters as are stored.
    """
    tensors = [value for state in states.values() for value in state.values()]
    stored = _stored(tensors)
    # Some networks cannot be built without memory, such as RegNet, which counts with tensors; wrong
    # arguments are reported by the second attempt.
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
    """Raised while a network is built, once it is too large."""


@contextmanager
def _bounded(numbers: int, count: int) -> Iterator[None]:
    """Refuse, inside, networks with far more parameters, or numbers in them, than these."""
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
    """Return how many numbers take room in a file; views may repeat one any number of times."""
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
