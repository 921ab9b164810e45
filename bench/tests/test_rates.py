"""What is counted of answers whose truth is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from undoor.clean_set import CleanSet
from undoor.rate import Rate
from undoor_bench.rates import Predictions, PredictionSet, basic_rates, flag_rates


def images(labels: list[int]) -> CleanSet:
    return CleanSet(torch.zeros(len(labels), 1, 2, 2), torch.tensor(labels))


def answers(*labels: int) -> Predictions:
    return Predictions(torch.tensor(labels))


TEST = images([0, 0, 1, 2])
# Two backdoors: all others to 2, and 0 to 1.
TRIGGERED = (images([0, 0, 1]), images([0, 0]))
TARGETS = (2, 1)
BARE = PredictionSet(answers(0, 1, 1, 2), (answers(2, 2, 0), answers(1, 0)))


def test_rates_over_all_backdoors() -> None:
    rates = basic_rates(BARE, TEST, TRIGGERED, TARGETS)
    assert {name: rate.value for name, rate in rates.items()} == {
        "acc": 3 / 4,
        "asr": 3 / 5,
        "sia": 1 / 5,
        # Of three images that are not of class 2 none, of three not of class 1 one.
        "own_rate_t": 1 / 6,
    }
    assert rates["asr"].n == 5
    assert rates["asr"].low is not None


def test_rejected_inputs_are_no_answers() -> None:
    outcome = PredictionSet(answers(-1, -1, 1, 2), (answers(-1, -1, -1), answers(-1, 0)))
    rates = basic_rates(outcome, TEST, TRIGGERED, TARGETS)
    assert [rates[name].value for name in ("acc", "asr", "sia")] == [0.5, 0.0, 1 / 5]


def flagging(labels: list[int], flagged: list[bool], score: Tensor) -> Predictions:
    return Predictions(torch.tensor(labels), torch.tensor(flagged), score)


def test_flags() -> None:
    """Clean images that the bare model answers with a target are all but the first."""
    inf = torch.inf
    outcome = PredictionSet(
        flagging([0, 0, 1, 2], [False, True, False, False], torch.tensor([-inf, 1.0, 0.0, 0.0])),
        (
            flagging([0, 2, 0], [True, False, False], torch.tensor([9.0, 0.5, -inf])),
            flagging([0, 0], [True, True], torch.tensor([8.0, 7.0])),
        ),
    )
    rates = flag_rates(outcome, BARE, TEST, TARGETS)
    assert (rates["tpr"].value, rates["tpr"].n) == (3 / 5, 5)
    assert rates["fpr"].value == 1 / 4
    # The second of them is of another class, and mistaken for a target.
    assert rates["fpr_target"].value == 1 / 3
    assert (rates["fpr_own"].value, rates["fpr_own"].n) == (0, 2)
    # 9, 8 and 7 above all four; 0.5 above three; -inf ties with one.
    assert rates["auroc"].value == pytest.approx((4 * 3 + 3 + 0.5) / 20)
    # Answered with their target are 9, 0.5 and 8, and of the clean 1, 0 and 0.
    assert rates["auroc_of_t"].value == pytest.approx((3 + 2 + 3) / 9)


def test_networks_that_flag_nothing_have_no_such_rates() -> None:
    rates = flag_rates(BARE, BARE, TEST, TARGETS)
    assert list(rates) == ["tpr", "fpr", "fpr_target", "fpr_own", "auroc", "auroc_of_t"]
    assert all(rate == Rate(None, None, None, 0) for rate in rates.values())


def test_outcome_asks_once_for_each_set() -> None:
    asked: list[int] = []

    def defended(x: Tensor) -> Predictions:
        asked.append(len(x))
        return Predictions(torch.zeros(len(x), dtype=torch.int64))

    outcome = PredictionSet.of(defended, TEST, TRIGGERED)
    assert asked == [4, 3, 2]
    assert [len(item.labels) for item in outcome.triggered] == [3, 2]
