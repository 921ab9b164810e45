"""Hashes of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from undoor.classifier import Classifier


def weights_sha256(classifier: Classifier) -> str:
    """SHA-256 over every weight and the input transform, the name of a model in older files.

    Two networks may share it that compute different things; see `Classifier.fingerprint`.
    """
    spec = (classifier.input_shape, classifier.bounds, classifier.scale, classifier.output)
    digest = hashlib.sha256(repr(spec).encode())
    tensors: Mapping[str, Tensor] = {
        "mean": classifier.mean,
        "std": classifier.std,
        **classifier.network.state_dict(),
    }
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def tensor_sha256(tensor: Tensor) -> str:
    """SHA-256 over shape, type and numbers of a tensor of any kind.

    >>> tensor_sha256(torch.zeros(2)) == tensor_sha256(torch.zeros(2, 1))
    False
    """
    head = f"{tuple(tensor.shape)}{tensor.dtype}{tensor.layout}"
    digest = hashlib.sha256(head.encode())
    if tensor.layout != torch.strided or tensor.is_meta:
        return digest.hexdigest()
    dense = tensor.detach()
    if dense.is_quantized:
        dense = dense.dequantize()
    flat = dense.cpu().contiguous().resolve_conj().resolve_neg().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
