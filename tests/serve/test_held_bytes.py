"""Bytes under way have a bound."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from undoor.serve.held_bytes import HeldBytes
from undoor.serve.refusal import Refusal


def test_bound() -> None:
    held = HeldBytes("inputs", 10)
    held.hold(6)
    with pytest.raises(Refusal, match="the inputs under way take 6 bytes") as refused:
        held.hold(5)
    assert refused.value.status == HTTPStatus.TOO_MANY_REQUESTS
    held.hold(4)
    held.release(10)
    held.hold(10)
