"""Sealed files of tensors and a description: equal content gives equal bytes.

A sealed file is a safetensors file. Its metadata has one entry (several would be written in an
order that changes from run to run): canonical JSON of the description and of a SHA-256 over
description and tensors. That digest reveals damage and careless edits. Deliberate changes
are revealed only by a signature of the file, or by its SHA-256 stored elsewhere, since the digest
can be computed anew.
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
from undoor.files import sha256_of, why

METADATA_KEY = "undoor"


@dataclass(frozen=True, eq=False)
class Sealed:
    """The content of a sealed file.

    Attributes
    ----------
    description
        A JSON value.
    tensors
        Float32, by name.
    sha256
        Of the file itself.
    """

    description: Any
    tensors: Mapping[str, Tensor]
    sha256: str


def sealed(description: Any, tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a sealed file.

    Parameters
    ----------
    description
        A JSON value.
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
    return save(whole, {METADATA_KEY: _canonical(envelope)})


def is_sealed(file: Path) -> bool:
    """Return whether a safetensors file is marked as sealed, without checking its content."""
    try:
        with safe_open(file, "pt") as archive:
            return METADATA_KEY in (archive.metadata() or {})
    except (SafetensorError, OSError):
        return False


def unsealed(file: Path, *, made_by: str) -> Sealed:
    """Read a sealed file, and check its digest.

    Parameters
    ----------
    made_by
        The command that writes such files, for messages.

    Raises
    ------
    UndoorError
        There is no such file, it is of another kind, or it has changed since it was written.
    """
    try:
        sha256 = sha256_of(file)
        with safe_open(file, "pt") as archive:
            text = (archive.metadata() or {}).get(METADATA_KEY)
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
        raise UndoorError(
            f"{file}: expected a file that {made_by} writes, got another safetensors file"
        )
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
