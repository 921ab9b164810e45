"""One file of tensors and a description, the same bytes for the same content, whole or refused.

The file is safetensors. Its metadata has one entry (several would be written in an order that
changes from run to run): canonical JSON of the description and of a SHA-256 over description and
tensors. That digest tells damage and careless edits; who changes a file on purpose can compute it
anew. What tells those is a signature of the file, or its own SHA-256 kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from undoor.device import array
from undoor.errors import UndoorError
from undoor.files import why

ENTRY = "undoor"


@dataclass(frozen=True, eq=False)
class Sealed:
    """What a file holds; sha256 is that of the file itself."""

    description: Any
    tensors: Mapping[str, Tensor]
    sha256: str


def sealed(description: Any, tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of the file.

    Parameters
    ----------
    description
        What JSON can say.
    tensors
        Float32, on the CPU.

    Examples
    --------
    >>> one = sealed({"b": 1, "a": 2}, {"x": torch.ones(2), "y": torch.zeros(1)})
    >>> one == sealed({"a": 2, "b": 1}, {"y": torch.zeros(1), "x": torch.ones(2)})
    True
    """
    envelope = {"content": description, "sha256": _digest(description, tensors)}
    # Clones, since safetensors refuses tensors that share memory.
    whole = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    return save(whole, {ENTRY: _canonical(envelope)})


def is_sealed(file: Path) -> bool:
    """Return whether a safetensors file says that it is one of these.

    Its content is not looked at.
    """
    try:
        with safe_open(file, "pt") as archive:
            return ENTRY in (archive.metadata() or {})
    except (SafetensorError, OSError):
        return False


def unsealed(file: Path, *, made_by: str) -> Sealed:
    """Read such a file.

    Parameters
    ----------
    made_by
        What writes them, for messages.

    Raises
    ------
    UndoorError
        There is none, it is of another kind, or it is not as it was written.
    """
    try:
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        with safe_open(file, "pt") as archive:
            text = (archive.metadata() or {}).get(ENTRY)
            # Clones, since the tensors may still be the file, which others may write to.
            tensors = {n: archive.get_tensor(n).clone() for n in archive.keys()}  # noqa: SIM118
    except OSError as error:
        raise UndoorError(f"{file}: {why(error)}; expected what {made_by} writes") from None
    except SafetensorError as error:
        raise UndoorError(
            f"{file}: damaged or no safetensors file ({error}); expected what {made_by} writes, "
            "get it again"
        ) from None
    if text is None:
        raise UndoorError(f"{file}: a safetensors file of another kind than {made_by} writes")
    return Sealed(_content(file, text, tensors, made_by), tensors, sha256)


def _content(file: Path, text: str, tensors: Mapping[str, Tensor], made_by: str) -> Any:
    try:
        envelope = json.loads(text)
        content, promised = envelope["content"], envelope["sha256"]
        found = _digest(content, tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UndoorError(
            f"{file}: damaged, its description is not what {made_by} writes ({error!r}); "
            "get it again"
        ) from None
    if found != promised:
        raise UndoorError(
            f"{file}: damaged or changed after it was written (its content has the SHA-256 "
            f"{found[:12]}, expected {str(promised)[:12]}); do not use it, get it again"
        )
    return content


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(description: Any, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(_canonical(description).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        if tensor.dtype != torch.float32:
            raise TypeError(f"expected float32, got {tensor.dtype} in {name}")
        digest.update(f"\n{name}{list(tensor.shape)}\n".encode())
        digest.update(array(tensor).tobytes())
    return digest.hexdigest()
