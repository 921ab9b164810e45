"""Is this checkpoint safe to open? Its pickles are read opcode by opcode and never run."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from undoor.errors import UndoorError

# The format of torch before 1.6: magic number, version, system, the object, the storage keys.
LEGACY_PICKLES = 5
SHOWN = 4

SAFE = frozenset(
    {
        "_codecs.encode",
        "collections.OrderedDict",
        "collections.Counter",
        "builtins.set",
        "__builtin__.set",
        "torch.Size",
        "torch.Tensor",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch.storage.TypedStorage",
        "torch.storage.UntypedStorage",
        "torch._tensor._rebuild_from_type_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_qtensor",
        "torch._utils._rebuild_sparse_tensor",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
    }
)
SAFE_STORAGE = re.compile(r"torch\.(cuda\.)?[A-Z][A-Za-z0-9]*Storage")
MODULE = re.compile(r"torch\.nn\.modules\.|torch\.nn\.parallel\.")

_MARK = object()
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_NOT_A_STRING = frozenset({"GLOBAL", "INST", "PERSID"})


def require_safe(path: Path) -> None:
    """Refuse a torch checkpoint that names anything beyond tensors and plain containers.

    Raises
    ------
    UndoorError : names the offending globals and the way out; or the file is damaged.
    """
    unsafe = unsafe_globals(path)
    if not unsafe:
        return
    shown = ", ".join(unsafe[:SHOWN])
    more = f" and {len(unsafe) - SHOWN} more" if len(unsafe) > SHOWN else ""
    if any(MODULE.match(name) for name in unsafe):
        raise UndoorError(
            f"{path} holds a whole pickled module, which runs code when it is opened ({shown}"
            f"{more}); expected a state dict: save model.state_dict() as safetensors on a machine "
            "you trust"
        )
    raise UndoorError(
        f"{path} would run code when it is opened: it names {shown}{more}; expected tensors "
        "alone: re-save the state dict as safetensors on a machine you trust"
    )


def unsafe_globals(path: Path) -> list[str]:
    """Names in the pickles of a checkpoint that are not needed for tensors, most telling first."""
    found = {name for name in _globals_in(path) if not _is_safe(name)}
    return sorted(found, key=lambda name: (name.startswith("torch."), name))


def _is_safe(name: str) -> bool:
    if name in SAFE or SAFE_STORAGE.fullmatch(name):
        return True
    module, _, attribute = name.rpartition(".")
    return module == "torch" and isinstance(getattr(torch, attribute, None), torch.dtype)


def _globals_in(path: Path) -> Iterator[str]:
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as stream:
                yield from _globals_in_stream(stream)
            return
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            _require_checkpoint(path, names)
            for name in names:
                if name.endswith(".pkl"):
                    yield from _globals_in_stream(io.BytesIO(archive.read(name)))
    except UndoorError:
        raise
    # A stream that cannot be followed to its end is never handed to an unpickler.
    except Exception as error:
        raise UndoorError(
            f"{path} is neither a safetensors file nor a readable torch checkpoint "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}); "
            "it may be truncated: copy it again"
        ) from error


def _require_checkpoint(path: Path, names: list[str]) -> None:
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise UndoorError(
            f"{path} is a TorchScript archive, which holds code; "
            "expected a state dict: save model.state_dict() as safetensors"
        )
    if not any(name.rpartition("/")[2] == "data.pkl" for name in names):
        raise UndoorError(
            f"{path} is a zip archive without data.pkl, not a checkpoint; "
            "expected a file written by torch.save(model.state_dict(), file)"
        )


def _globals_in_stream(stream: IO[bytes]) -> Iterator[str]:
    for index in range(LEGACY_PICKLES):
        try:
            yield from _globals_in_pickle(stream)
        except Exception:
            # What follows the first pickle of a file that is not of the legacy format is data.
            if index == 0:
                raise
            return


def _globals_in_pickle(stream: IO[bytes]) -> Iterator[str]:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)
        elif opcode.name == "STACK_GLOBAL":
            parts = stack[-2:]
            known = len(parts) == 2 and all(isinstance(part, str) for part in parts)
            yield ".".join(parts) if known else "a name computed while unpickling"
        elif opcode.name.startswith("EXT"):
            yield f"copyreg extension {argument}"
        _step(opcode, argument, stack, memo)


def _step(
    opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any], memo: dict[int, Any]
) -> None:
    """Follow one opcode far enough to know which strings lie on the stack."""
    if opcode.name in _PUTS:
        memo[len(memo) if argument is None else argument] = stack[-1]
    elif opcode.name in _GETS:
        stack.append(memo[argument])
    elif opcode.name == "DUP":
        stack.append(stack[-1])
    else:
        before = list(opcode.stack_before)
        if pickletools.markobject in before:
            while stack.pop() is not _MARK:
                pass
            before = before[: before.index(pickletools.markobject)]
        del stack[len(stack) - len(before) :]
        is_string = isinstance(argument, str) and opcode.name not in _NOT_A_STRING
        for item in opcode.stack_after:
            mark = item is pickletools.markobject
            stack.append(_MARK if mark else argument if is_string else None)
