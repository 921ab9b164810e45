"""From outputs to answers: what is flagged, what gets no label, and why."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.serving import FakeEngine, inputs, served
from undoor.serve.answers import Answers, answers, failed, joined
from undoor.serve.served_model import Array, Outputs
from undoor.vocabulary import MAX_SCORE, NO_SCORE, REJECTED, Policy


def answered(x: Array, policy: Policy = "relabel") -> Answers:
    engine = FakeEngine(served(policy))
    return answers(engine.model, x, engine.run(x))


def test_clean_and_triggered() -> None:
    found = answered(inputs(0.0, 0.1, 0.2, 0.5))
    assert found.labels.tolist() == [0, 1, 2, 2]
    assert found.flagged.tolist() == [False, False, False, True]
    assert found.reasons == (None, None, None, "backdoor")
    assert found.targets.tolist() == [-1, -1, -1, 1]
    assert [found.bare_label(row) for row in range(4)] == [0, 1, 2, 1]
    assert [found.known_score(row) for row in range(4)] == [None, 0.25, None, 3.0]


def test_counts_of_a_target() -> None:
    """One input is predicted as it and passes, two are flagged; what is out of range is neither."""
    assert answered(inputs(0.0, 0.1, 0.5, 0.5, 7.0)).judged(1) == (3, 2)


@pytest.mark.parametrize("policy", ["relabel", "reject", "flag"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (-np.inf, "not finite"),
        (1.2, "out of range"),
        (-0.2, "out of range"),
    ],
)
def test_what_cannot_be_judged_is_not_answered(value: float, reason: str, policy: Policy) -> None:
    found = answered(inputs(0.0, value), policy)
    assert found.labels.tolist() == [0, REJECTED]
    assert found.flagged.tolist() == [False, True]
    assert found.reasons == (None, reason)
    assert found.score[1] == np.float32(MAX_SCORE)
    assert found.logits[1].tolist() == [0, np.float32(NO_SCORE), 0]
    assert found.bare_label(1) is None
    assert found.known_score(1) is None


def test_overshoot_of_resizing_passes() -> None:
    assert answered(inputs(1.04)).reasons == (None,)


def test_rejected() -> None:
    model = served("reject")
    blank = np.array([[0, NO_SCORE, 0]], np.float32)
    outputs = Outputs(blank, np.array([True]), np.array([3.0], np.float32))
    found = answers(model, inputs(0.5), outputs)
    assert found.labels.tolist() == [REJECTED]
    assert found.reasons == ("backdoor",)
    assert found.bare_label(0) == 1


def test_flag_alone() -> None:
    outputs = Outputs(
        np.array([[0, 5, 0]], np.float32), np.array([True]), np.array([3.0], np.float32)
    )
    found = answers(served("flag"), inputs(0.5), outputs)
    assert (found.labels.tolist(), found.targets.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    ("logits", "score"), [([np.nan, 1, 0], 0.0), ([0, 1, 0], np.nan), ([np.inf, 0, 0], 0.0)]
)
def test_numbers_of_the_engine_that_mean_nothing_are_flagged(
    logits: list[float], score: float
) -> None:
    outputs = Outputs(
        np.array([logits], np.float32), np.array([False]), np.array([score], np.float32)
    )
    found = answers(served(), inputs(0.0), outputs)
    assert found.flagged.tolist() == [True]
    assert found.labels.tolist() == [REJECTED]
    assert np.isfinite(found.logits).all()
    assert np.isfinite(found.score).all()


def test_parts_and_joined() -> None:
    whole = answered(inputs(0.0, 0.1, 0.5))
    again = joined([whole.at([0]), whole.at([1, 2])])
    assert again.reasons == whole.reasons
    assert again.labels.tolist() == whole.labels.tolist()


def test_failed() -> None:
    found = failed(served())
    assert found.reasons == ("model failed",)
    assert found.labels.tolist() == [REJECTED]
    assert found.flagged.tolist() == [True]
