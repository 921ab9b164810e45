"""A device that does not exist: tensors that say they are on it, and are computed on the CPU.

A real device refuses tensors of another one, and so does this: wherever a plain tensor with
dimensions meets one of its own, other than where PyTorch lets the two mix, it raises an error as
PyTorch does. Fake tensors without data cannot run a scan; these can.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Of the devices that PyTorch knows by name, one that gradients pass on any machine.
DEVICE = torch.device("lazy")
CPU = torch.device("cpu")
# Operators that take tensors of two devices: copies, and indices on the CPU.
MIXING = {f"aten::{name}" for name in ("copy_", "index", "index_put", "index_put_")}
MIXING.add("aten::_index_put_impl_")


class Pretended(Tensor):
    """A tensor of the pretended device. held : its numbers, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            held.stride(),
            held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        assert isinstance(made, Pretended)
        made.held = held
        return made

    def untyped_storage(self) -> torch.UntypedStorage:
        """Where the numbers lie; views of one another lie at one place."""
        return self.held.untyped_storage()

    def tolist(self) -> Any:
        """As of any tensor, which PyTorch denies to subclasses."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # the base class has a function in its place
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return run(function, args, kwargs or {})


@contextmanager
def pretending() -> Iterator[None]:
    """While it is entered, tensors can be made on the device and moved to it."""
    with _Making(), _Pretending():
        yield


class _Making(TorchFunctionMode):
    """Makes tensors of lists on the CPU first, for which PyTorch asks no dispatch mode."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is Tensor.__getitem__ and isinstance(args[1], list):
            return function(args[0], torch.tensor(args[1]))
        if function is not torch.tensor or kwargs.get("device") != DEVICE:
            return function(*args, **kwargs)
        leaf = function(*args, **{**kwargs, "device": CPU}).detach().to(DEVICE)
        return leaf.requires_grad_(kwargs.get("requires_grad", False))


class _Pretending(TorchDispatchMode):
    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return run(function, args, kwargs or {})


def run(function: Any, args: Any, kwargs: Any) -> Any:
    """An operator on the numbers that are held; its results are on the device unless it names
    another one."""
    tensors = list(tensors_of((*args, *kwargs.values())))
    ours = any(isinstance(t, Pretended) for t in tensors)
    place = kwargs.get("device")
    if not ours and place != DEVICE:
        return function(*args, **kwargs)
    name = function._schema.name
    if ours and name not in MIXING and any(t.dim() for t in tensors if type(t) is not Pretended):
        raise RuntimeError(f"expected all tensors on one device, found {DEVICE} and cpu: {name}")
    plain_args = [plain(value) for value in args]
    plain_kwargs = {name: plain(value) for name, value in kwargs.items()}
    if place is not None:
        plain_kwargs["device"] = CPU
    made = function(*plain_args, **plain_kwargs)
    if place is not None and place != DEVICE:
        return made
    # What an operator changes in place, it returns.
    same = {id(plain(t)): t for t in tensors}
    return placed(made, same)


def tensors_of(values: Any) -> Iterator[Tensor]:
    """The tensors among the arguments of an operator, which may be in lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_of(value)


def placed(made: Any, same: dict[int, Tensor]) -> Any:
    """What an operator made, on the device; `same`, by identity, is there already."""
    if isinstance(made, list | tuple):
        return type(made)(placed(value, same) for value in made)
    if not isinstance(made, Tensor):
        return made
    return same[id(made)] if id(made) in same else Pretended(made)


def plain(value: Any) -> Any:
    """The numbers of tensors of the device; anything else as it is."""
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value.held if isinstance(value, Pretended) else value
