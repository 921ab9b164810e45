"""The header of a safetensors file, checked against the format before the file is mapped."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.load.mistaken import LONGEST_HEADER, refuse_mistaken
from undoor.load.regular import open_regular

MAX_AXES = 64
LARGEST = 2**53
BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


def require_safe_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the dtype and the shape of each tensor, by name.

    Raises
    ------
    UndoorError
        The header is longer than the file or the format allows, is no JSON, gives a name twice, or
        has tensors that overlap, leave gaps, or end beyond the file.
    """
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        length = struct.unpack("<Q", stream.read(8).ljust(8, b"\xff"))[0]
        if length > min(LONGEST_HEADER, size - 8):
            refuse_mistaken(path)
            raise _damaged(path, f"its header would have {length:,} bytes of {size:,}")
        raw = stream.read(length)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error).splitlines()[0][:200]) from error
    if not isinstance(header, dict):
        raise _damaged(path, f"its header is a {type(header).__name__}")
    header.pop("__metadata__", None)
    entries = {name: _entry(path, name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, start, stop) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if start != end:
            what = "overlaps another" if start < end else "leaves a gap before it"
            raise _damaged(path, f"its tensor {name[:80]!r} {what}")
        end = stop
    if end != size - 8 - length:
        raise _damaged(path, f"its tensors take {end:,} bytes, it has {size - 8 - length:,}")
    return {name: (dtype, shape) for name, (dtype, shape, _, _) in entries.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header gives a name twice")
    return found


def _entry(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    try:
        dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers = (*shape, start, stop)
        whole = len(shape) <= MAX_AXES and all(type(n) is int and 0 <= n < LARGEST for n in numbers)
        bits = BITS[dtype] * math.prod(shape) if whole else -1
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"its tensor {name[:80]!r} is not described") from error
    if not whole or (stop - start) * 8 != bits:
        raise _damaged(
            path, f"its tensor {name[:80]!r} of {dtype} {list(shape)[:8]} has {start} to {stop}"
        )
    return dtype, shape, start, stop


def _damaged(path: Path, what: str) -> UndoorError:
    return UndoorError(
        f"{path} is not a readable safetensors file ({what}); it may be truncated: copy it again"
    )
