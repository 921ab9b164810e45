"""Pickles followed without being run."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict

import pytest

from undoor.errors import UndoorError
from undoor.load import opcodes
from undoor.load.opcodes import COMPUTED, Event, follow, last_value


def events(data: bytes) -> list[Event]:
    return [event for event in follow(io.BytesIO(data)) if isinstance(event, Event)]


@pytest.mark.parametrize("protocol", range(6))
def test_names_and_calls_of_every_protocol(protocol: int) -> None:
    told = [(e.does, e.name) for e in events(pickle.dumps(OrderedDict(a=1), protocol))]
    assert ("names", "collections.OrderedDict") in told
    assert ("calls", "collections.OrderedDict") in told


def test_plain_values_do_nothing() -> None:
    content = {"a": [1, 2.5, None, True, (b"x", "y")], "b": {1, 2}, "c": frozenset({3})}
    for protocol in (4, 5):
        assert events(pickle.dumps(content, protocol)) == []


def test_what_a_call_is_given() -> None:
    (_, call) = events(b"\x80\x02ccollections\nCounter\nK\x01K\x02\x86R.")
    assert [item.plain for item in call.value.items or ()] == [1, 2]


def test_memo_is_that_of_the_machine() -> None:
    """MEMOIZE counts what is there, whatever put it there; a key that is taken is overwritten."""
    first = b"\x80\x04\x8c\x01a\x94\x8c\x01b\x94\x8c\x01cq\x00h\x00h\x01\x93."
    assert [event.name for event in events(first)] == ["c.b"]


def test_computed_names() -> None:
    assert [e.name for e in events(b"\x80\x04\x8c\x01aN\x93.")] == [COMPUTED]


@pytest.mark.parametrize("data", [b"(q\x00.", b"(2.", b"h\x05.", b"\x85.", b"(R.", b"]", b"\xff"])
def test_malformed(data: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011
        events(data)


def test_depth_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UndoorError, match="more than 100 deep"):
        events(b")" + b"\x85" * 200 + b".")
    assert events(b"]" + b"K\x01a" * 200 + b".") == []
    monkeypatch.setattr(opcodes, "MAX_OPCODES", 10)
    with pytest.raises(UndoorError, match="more than 10 opcodes"):
        events(b"N0" * 20 + b"N.")


def test_last_value() -> None:
    assert last_value(io.BytesIO(pickle.dumps(2**70, 2))) == 2**70
    assert last_value(io.BytesIO(pickle.dumps([2**70], 2))) is None
    assert last_value(io.BytesIO(pickle.dumps("text", 2))) is None
