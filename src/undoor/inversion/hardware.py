"""What this machine computes fast."""

from __future__ import annotations

import os

import torch

# Set to anything but 0 or nothing: compute in float32 even where bfloat16 is fast.
FLOAT32 = "UNDOOR_FLOAT32"


def fast_bfloat16() -> bool:
    """Whether to compute in bfloat16: this CPU multiplies it in hardware, and `UNDOOR_FLOAT32` is
    not set. Elsewhere autocast only costs time."""
    if os.environ.get(FLOAT32, "0") not in ("", "0"):
        return False
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return supported is not None and bool(supported())
