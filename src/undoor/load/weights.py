"""Read the state dicts of a checkpoint."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from undoor.errors import UndoorError, first_line
from undoor.files import other_spelling
from undoor.load.beside import stand_ins
from undoor.load.check import examine, require_safe
from undoor.load.not_a_model import refuse_repair
from undoor.load.regular import open_regular
from undoor.load.safetensors_header import require_safe_header
from undoor.load.state_dicts import StateDict, only_one, states_in

SHOWN = 3
# What quantisers call their scales; bitsandbytes, torchao, GPTQ and torch.ao.
QUANTISED = re.compile(
    r"(.*\.)?(_packed_params(\._packed_params)?|qweight|qzeros|zero_points?|SCB|absmax"
    r"|quant_map|weight_scale(_inv)?|weight\.(absmax|quant_map|quant_state.*|_data|_scale))"
)
WHOLE_NUMBERS = (torch.int8, torch.uint8)


def read_state_dict(path: Path, *, key: str | None = None) -> StateDict:
    """Return the tensors of a checkpoint by name, floating-point ones as float32.

    Nothing is executed: safetensors holds no code, and other files are screened first and then
    opened with `weights_only=True`.

    Parameters
    ----------
    path
        A safetensors file, or one written by `torch.save`.
    key
        Which of several state dicts; dots lead further inside.

    Raises
    ------
    UndoorError
        The file is missing, unsafe or damaged; or it holds no state dict, none under `key`, or
        several without a `key` that chooses one.
    """
    return prepared(only_one(read_states(path, key=key), path), path)


def read_states(path: Path, *, key: str | None = None) -> dict[str, StateDict]:
    """Return all state dicts of a checkpoint as they are stored, by the keys that lead to them.

    See `states_in`.

    Raises
    ------
    UndoorError
        As `read_state_dict`, but not for several state dicts.
    """
    if not path.exists():
        raise UndoorError(f"the weights {path} do not exist{other_spelling(path)}; check the path")
    open_regular(path).close()
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    return states_in(content, path, key=key)


def needs_architecture(path: Path) -> bool:
    """Return whether `path` is a bare checkpoint: tensors by name without their network."""
    kinds = ("safetensors", "torch checkpoint", "pickle")
    return path.is_file() and path.suffix != ".toml" and examine(path).format in kinds


def prepared(state: StateDict, path: Path) -> StateDict:
    """Return a state dict with floating-point tensors as float32.

    Raises
    ------
    UndoorError
        It is a repaired model or a repair, or its weights are sparse or quantised.
    """
    # Not the methods of the values, which a file may have replaced.
    state = {name: Tensor.detach(value) for name, value in state.items()}
    if any(".correction." in f".{name}" for name in state):
        raise UndoorError(
            f"{path} is a repaired model: it holds undoor's corrections and would do harm without "
            "them; load the original weights and attach the repair with undoor.guard"
        )
    refuse_repair(path, state)
    sparse = [name for name, value in state.items() if value.layout is not torch.strided]
    if sparse:
        raise UndoorError(
            f"{path} holds weights as sparse tensors ({shorten(sparse)}); expected dense ones: "
            "save the state dict again with value.to_dense() for these"
        )
    quantised = [name for name, value in state.items() if _is_quantised(name, value)]
    if quantised:
        raise UndoorError(
            f"{path} holds the weights of a quantised network ({shorten(quantised)}); "
            "give the floating-point weights that they were made from, or dequantise them "
            "(value.dequantize()) and save the state dict again"
        )
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def _is_quantised(name: str, value: Tensor) -> bool:
    whole = value.dtype in WHOLE_NUMBERS and name.endswith("weight")
    return value.is_quantized or whole or QUANTISED.fullmatch(name) is not None


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> StateDict:
    require_safe_header(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UndoorError(
            f"{path} is not a readable safetensors file ({first_line(error)}); "
            "it may be truncated: copy it again"
        ) from error


def _read_torch(path: Path) -> object:
    safety = require_safe(path)
    names = [name for name, _ in safety.globals]
    try:
        with (
            warnings.catch_warnings(),
            torch.serialization.safe_globals(stand_ins(names)),
            # Refuses sparse tensors with indices outside of their shape.
            torch.sparse.check_sparse_tensor_invariants(),
        ):
            # Warnings about deprecated contents of the file are of no use to its reader.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    # Torch may raise anything over a file that passed the screening; it is not used then.
    except Exception as error:
        raise UndoorError(
            f"{path} cannot be opened as a torch checkpoint ({first_line(error)}); "
            "re-save the state dict as safetensors on a machine you trust"
        ) from error


def shorten(items: list[str], separator: str = ", ") -> str:
    """Return the first three items, and how many more there are."""
    more = f"{separator}and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return separator.join(items[:SHOWN]) + more
