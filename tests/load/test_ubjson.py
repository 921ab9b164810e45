"""Universal Binary JSON: what XGBoost writes of it."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from undoor.load.ubjson import read_ubjson


def test_values_of_all_kinds() -> None:
    data = b"{U\x01aSi\x02hiU\x01b[TFZ]U\x01c[#U\x02i\x01I\x01\x00U\x01dd" + struct.pack(">f", 0.5)
    data += b"U\x01e[$l#L" + struct.pack(">q2i", 2, -1, 70_000) + b"}"
    found = read_ubjson(data)
    assert found["e"].tolist() == [-1, 70_000]
    assert found["e"].dtype == np.int32
    del found["e"]
    assert found == {"a": "hi", "b": [True, False, None], "c": [1, 256], "d": 0.5}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"{i\x01", b"[$l#i\x7f", b"[$S#i\x01", b"{}x", b"Si\xffab", b"H", b"[#d\0\0\0\0",
        b"[" * 100, b"[$l#L\x7f" + b"\xff" * 7,
    ],
)  # fmt: skip
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_ubjson(data)
