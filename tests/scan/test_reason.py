"""Reasons as data: each code has facts of one type, which come back from JSON."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from helpers.every_reason import EVERY_REASON
from undoor.scan.reason import KINDS, Reason
from undoor.vocabulary import ReasonCode


def test_every_code_has_facts_and_an_example() -> None:
    codes = set(get_args(ReasonCode))
    assert codes == set(KINDS) == {reason.code for reason in EVERY_REASON}
    assert all(type(reason.facts) is KINDS[reason.code] for reason in EVERY_REASON)


@pytest.mark.parametrize("reason", EVERY_REASON, ids=lambda reason: reason.code)
def test_round_trip(reason: Reason) -> None:
    assert Reason.from_json(json.loads(json.dumps(reason.to_json()))) == reason


@pytest.mark.parametrize(
    "data",
    [
        {"code": "unheard of", "facts": {}},
        {"code": "no trigger works", "facts": {"surprise": 1}},
        {"code": "flat scores", "facts": {"share": "much"}},
        {"code": "flat scores", "facts": {}},
        {"code": "odd graph", "facts": {"code": "x", "where": "a", "what": "b", "count": 1}},
        {"code": "no trigger works"},
        {"code": [], "facts": {}},
        {"code": "no trigger works", "facts": None},
        "no trigger works",
    ],
)
def test_what_is_no_reason(data: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Reason.from_json(data)
