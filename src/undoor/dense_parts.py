"""The numbers of sparse, nested and quantised tensors, as dense tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def dense_parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return the dense tensors that hold the numbers of a tensor of any kind.

    These are the indices and the values of a sparse one, and none for one without numbers.

    >>> [part.tolist() for part in dense_parts(torch.tensor([0.0, 3.0]).to_sparse())]
    [[[1]], [3.0]]
    """
    found = tensor.detach()
    if found.is_meta:
        return ()
    if found.is_nested:
        return tuple(found.unbind())
    if found.is_quantized:
        return (found.dequantize(),)
    if found.layout == torch.sparse_coo:
        found = found.coalesce()
        return found.indices(), found.values()
    if found.layout in (torch.sparse_csr, torch.sparse_bsr):
        return found.crow_indices(), found.col_indices(), found.values()
    if found.layout in (torch.sparse_csc, torch.sparse_bsc):
        return found.ccol_indices(), found.row_indices(), found.values()
    return (found if found.layout == torch.strided else found.to_dense(),)
