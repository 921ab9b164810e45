"""One bad input spoils no other."""

from __future__ import annotations

from helpers.serving import FakeEngine, inputs
from undoor.serve.singly import run_batch


def test_one_batch() -> None:
    engine = FakeEngine()
    found = run_batch(engine, [inputs(0.0), inputs(0.1, 0.5)])
    assert [part.labels.tolist() for part in found] == [[0], [1, 2]]
    assert engine.batches == [3]


def test_a_poisoned_input_fails_alone() -> None:
    engine = FakeEngine()
    found = run_batch(engine, [inputs(0.0, 0.9), inputs(0.5), inputs(0.1)])
    assert found[0].reasons == (None, "model failed")
    assert [part.labels.tolist() for part in found] == [[0, -1], [2], [1]]
    assert engine.batches == [4, 1, 1, 1, 1]
