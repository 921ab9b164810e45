"""What a row of the zoo's table changes."""

from __future__ import annotations

import json

import pytest

from undoor.errors import UndoorError
from undoor_bench.zoo.variant import Variant


def test_only_what_is_given_is_told() -> None:
    """In JSON, in names, and through a file and back."""
    assert Variant().to_json() == {}
    assert Variant().named("blend") == "blend"
    variant = Variant(rate=0.005, targets=4)
    truth = json.loads(json.dumps({"attack": "many_targets", "seed": 1} | variant.to_json()))
    assert Variant.of(truth) == variant
    assert variant.suffix == "_rate0.005_targets4"
    assert variant.named("many_targets") == "many_targets, rate 0.005, targets 4"


def test_different_numbers_have_different_names() -> None:
    rates = (0.01, 0.1, 0.0100001, 1e-7)
    assert len({Variant(rate=rate).suffix for rate in rates}) == len(rates)
    assert Variant(rate=0.1).suffix != Variant(strength=0.1).suffix


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"rate": 0}, "rate must be above 0 and at most 1, got 0"),
        ({"rate": 1.5}, "rate .* got 1.5"),
        ({"rate": "much"}, "rate .* got 'much'"),
        ({"strength": True}, "strength .* got True"),
        ({"strength": -0.1}, "strength .* got -0.1"),
        ({"targets": 0}, "targets must be a whole number from 1 on, got 0"),
        ({"targets": 2.0}, "got 2.0"),
        ({"targets": True}, "got True"),
    ],
)
def test_numbers_out_of_range(row: dict[str, object], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        Variant.of(row)
