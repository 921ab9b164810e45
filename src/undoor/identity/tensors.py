"""Hashes of tensors and weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from undoor.dense_parts import dense_parts
from undoor.device import array, on_cpu

if TYPE_CHECKING:
    from undoor.classifier import Classifier


def weights_sha256(classifier: Classifier) -> str:
    """Return a SHA-256 over all weights and the input transform, as files of old formats have it.

    Networks that compute different things may share it; see `Classifier.fingerprint`.
    """
    spec = (classifier.input_shape, classifier.bounds, classifier.scale, classifier.output)
    digest = hashlib.sha256(repr(spec).encode())
    tensors: Mapping[str, Any] = {
        "mean": classifier.mean,
        "std": classifier.std,
        **classifier.network.state_dict(),
    }
    for name in sorted(tensors):
        tensor = tensors[name]
        # Extra state of any kind is part of the structure.
        if not isinstance(tensor, Tensor):
            continue
        if not _is_plain(tensor):
            digest.update(f"{name}{tensor_sha256(tensor)}".encode())
            continue
        tensor = on_cpu(tensor).contiguous().resolve_conj().resolve_neg()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(array(tensor).tobytes())
    return digest.hexdigest()


def tensor_sha256(tensor: Tensor) -> str:
    """Return a SHA-256 over shape, type and numbers of a tensor of any kind.

    >>> tensor_sha256(torch.zeros(2)) == tensor_sha256(torch.zeros(2, 1))
    False
    """
    shape = "nested" if tensor.is_nested else str(tuple(tensor.shape))
    digest = hashlib.sha256(f"{shape}{tensor.dtype}{tensor.layout}".encode())
    plain = _is_plain(tensor)
    for part in dense_parts(tensor):
        if not plain:
            digest.update(f"{tuple(part.shape)}{part.dtype}".encode())
        flat = on_cpu(part).contiguous().resolve_conj().resolve_neg().reshape(-1)
        digest.update(array(flat.view(torch.uint8)).tobytes())
    return digest.hexdigest()


def _is_plain(tensor: Tensor) -> bool:
    special = tensor.is_quantized or tensor.is_meta or tensor.is_nested
    return tensor.layout == torch.strided and not special
