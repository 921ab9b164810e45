"""The device and the precision in which undoor computes.

The device follows the model: a `Classifier` computes where the tensors of its network lie. What
users hold (clean sets, triggers, corrections, reports) stays on the CPU; it is moved to the model's
device at the start of each operation, and results are moved back at its end. Every random number
is drawn on the CPU, so that the draws are the same on all devices.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.vocabulary import AUTO

CPU = torch.device("cpu")
# An environment variable; with any value but 0 or none, compute in float32 even where
# bfloat16 is fast.
FLOAT32 = "UNDOOR_FLOAT32"
# The first CUDA generation whose tensor cores multiply bfloat16 (Ampere).
BFLOAT16_CAPABILITY = 8


def available() -> tuple[str, ...]:
    """Return the devices of this machine that PyTorch can use, such as ("cpu", "cuda:0")."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if _has_cuda() else []
    return ("cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else []))


def chosen(name: str | torch.device) -> torch.device:
    """Return the device with this name.

    Parameters
    ----------
    name
        "cpu", "cuda" (the first GPU), "cuda:1", "mps", or "auto": a GPU if PyTorch can use one,
        otherwise the CPU.

    Raises
    ------
    UndoorError
        This machine has no such device; the message lists those that it has.
    """
    here = available()
    if name == AUTO:
        return torch.device(here[min(1, len(here) - 1)])
    wanted = f"{name}:0" if str(name) == "cuda" else str(name)
    if wanted.removesuffix(":0") in ("cpu", "mps"):
        wanted = wanted.removesuffix(":0")
    if wanted not in here:
        raise UndoorError(
            f"expected one of the devices of this machine ({', '.join(here)}) or {AUTO}, got "
            f"{str(name)!r}; choose one of these: PyTorch {torch.__version__} sees no other"
        )
    return torch.device(wanted)


def described(device: torch.device) -> str:
    """Return type and name of a device for reports: "cuda (NVIDIA H200)", "cpu"."""
    if device.type == "cuda" and _has_cuda():
        return f"{device.type} ({torch.cuda.get_device_name(device)})"
    return device.type


def device_of(module: nn.Module) -> torch.device:
    """Return the device of a module's parameters and buffers; the CPU if it has none.

    Raises
    ------
    UndoorError
        They lie on several devices.
    """
    first: dict[torch.device, str] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        first.setdefault(tensor.device, name)
    if len(first) > 1:
        places = ", ".join(f"{name} is on {device}" for device, name in first.items())
        raise UndoorError(
            f"expected a network on one device, got one on {len(first)} ({places}); move it with "
            "network.to(device)"
        )
    return next(iter(first), CPU)


def require_same(expected: torch.device, tensor: Tensor, what: str) -> None:
    """Refuse a tensor that lies on another device than its network.

    Parameters
    ----------
    expected
        The network's device.
    tensor
        The input of the network.
    what
        What the tensor holds, in the plural, for the message.

    Raises
    ------
    UndoorError
        It lies elsewhere; the message names both devices.
    """
    if tensor.device != expected:
        raise UndoorError(
            f"the network is on {expected}, but the {what} are on {tensor.device}; move one of "
            f"them, as with .to({str(expected)!r})"
        )


def on(device: torch.device, tensor: Tensor) -> Tensor:
    """Return a tensor on a device; the tensor itself if it is there already."""
    return tensor if tensor.device == device else tensor.to(device)


def beside(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors on the device of `x`."""
    return tuple(on(x.device, tensor) for tensor in tensors)


def on_cpu(tensor: Tensor) -> Tensor:
    """Return a tensor on the CPU, detached from the autograd graph."""
    return on(CPU, tensor.detach())


def array(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as a NumPy array, for journals and files."""
    values: NDArray[Any] = on_cpu(tensor).numpy()
    return values


def from_array(values: NDArray[Any], device: torch.device = CPU) -> Tensor:
    """Return a NumPy array as a tensor that has its own memory: the inverse of `array`."""
    return on(device, torch.from_numpy(np.array(values, order="C")))


def indices(numbers: Iterable[int], device: torch.device) -> Tensor:
    """Return class numbers or rows [n] as int64."""
    return torch.tensor(list(numbers), dtype=torch.int64, device=device)


def shuffled(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return the numbers below `count` in random order [count], drawn on the CPU."""
    return on(device, torch.randperm(count, generator=generator, device=CPU))


def precise(tensor: Tensor) -> Tensor:
    """Return a tensor in float64; on the CPU if its device has no float64."""
    return (on(CPU, tensor) if tensor.device.type == "mps" else tensor).double()


def fast_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 in hardware and `UNDOOR_FLOAT32` is not set.

    Elsewhere autocast only costs time.
    """
    if os.environ.get(FLOAT32, "0") not in ("", "0"):
        return False
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return supported is not None and bool(supported())
    if device.type == "cuda" and _has_cuda():
        major, _ = torch.cuda.get_device_capability(device)
        return major >= BFLOAT16_CAPABILITY and torch.cuda.is_bf16_supported()
    return False


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which searches compute: bfloat16 where it is fast, else float32.

    Float32 holds even where the caller has switched autocast on.
    """
    fast = fast_bfloat16(device)
    known = torch.amp.is_autocast_available(device.type)
    if not fast and not (known and torch.is_autocast_enabled(device.type)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the memory layout of maps [N, C, H, W] in which convolutions are fastest.

    That is channels last on CPUs and for the tensor cores of GPUs.
    """
    if device.type == "cpu" or (device.type == "cuda" and fast_bfloat16(device)):
        return torch.channels_last
    return torch.contiguous_format


def free_memory(device: torch.device) -> int | None:
    """Return the free memory of a GPU in bytes; None for the CPU, or if PyTorch does not know."""
    if device.type == "cuda" and _has_cuda():
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    if device.type == "mps":
        limit = torch.mps.recommended_max_memory()
        return max(0, int(limit) - int(torch.mps.driver_allocated_memory()))
    return None


def held_memory(device: torch.device) -> int:
    """Return how many bytes of a GPU this process holds; 0 if PyTorch does not know."""
    if device.type == "cuda" and _has_cuda():
        return int(torch.cuda.memory_reserved(device))
    return int(torch.mps.driver_allocated_memory()) if device.type == "mps" else 0


def _has_cuda() -> bool:
    return torch.cuda.is_available()
