"""Rates, intervals and what is counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.tiny import TARGET, clean_images, toy_classifier, true_trigger
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.evaluate import Evaluation, auroc, evaluate, stamp_set
from undoor.guard import Guarded, guard
from undoor.rate import Rate
from undoor.repair import Repair
from undoor.sites import ENTRY
from undoor.triggers import Stamp

# AUROC

scores_of = st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=25)


@given(scores_of, scores_of)
def test_auroc_counts_pairs(positive: list[float], negative: list[float]) -> None:
    """Ties and -inf (inputs answered with no suspected target) included."""
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    rate = auroc(torch.tensor(positive), torch.tensor(negative))
    assert rate.value is not None
    assert rate.value == pytest.approx(wins / (len(positive) * len(negative)))
    assert rate.low is not None
    assert rate.high is not None
    assert 0 <= rate.low <= rate.value + 1e-12
    assert rate.value <= rate.high + 1e-12
    assert rate.high <= 1
    assert rate.n == len(positive) + len(negative)


def test_auroc_extremes() -> None:
    low, high = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0, 4.0])
    assert auroc(high, low).value == 1
    assert auroc(low, high).value == 0
    assert auroc(low, low).value == 0.5
    assert auroc(low, torch.tensor([])) == Rate(None, None, None, 0)
    assert auroc(torch.tensor([]), low) == Rate(None, None, None, 0)


def test_auroc_interval_is_as_wide_as_chance() -> None:
    """For exponential scores, the model behind the formula, simulated areas scatter as it says."""
    rng = np.random.default_rng(0)
    positive, negative = rng.exponential(3, (3000, 40)), rng.exponential(1, (3000, 30))
    areas = (positive[:, :, None] > negative[:, None, :]).mean((1, 2))
    widths = []
    for p, n in zip(positive[:300], negative[:300], strict=True):
        rate = auroc(torch.from_numpy(p), torch.from_numpy(n))
        assert rate.value is not None
        assert rate.low is not None
        widths.append(rate.value - rate.low)
    assert np.mean(widths) / 1.96 == pytest.approx(areas.std(), rel=0.08)


# Evaluation


def table_classifier() -> Classifier:
    """Logits are the input."""
    return Classifier(nn.Flatten(), input_shape=(3,), bounds=(-10, 10))


def inputs(*rows: tuple[int, float]) -> Tensor:
    """One-hot rows: the answer, and its margin."""
    x = torch.zeros(len(rows), 3)
    for i, (answer, margin) in enumerate(rows):
        x[i, answer] = margin
    return x


def capped_guard(
    classifier: Classifier, threshold: float = 1.25, policy: str = "relabel"
) -> Guarded:
    """Target 1; its correction caps all logits at 2 and lifts that of class 2 by a half."""
    one = torch.ones(3)
    h = Correction(one, torch.tensor([0.0, 0.0, 0.5]), -9 * one, 2 * one)
    return Guarded(classifier, {1: {ENTRY: h}}, {1: threshold}, policy=policy)


def test_all_rates_by_hand() -> None:
    classifier = table_classifier()
    guarded = capped_guard(classifier)
    # Score of an input (1, m): 0.75 m - (min(m, 2) - 0.5); flagged above 1.25, then answered 2.
    clean = CleanSet(inputs((0, 3), (1, 1), (1, 4), (2, 1), (0, 1)), torch.tensor([0, 1, 1, 2, 2]))
    triggered = CleanSet(
        inputs((1, 9), (1, 9), (1, 1), (0, 5), (1, 9)), torch.tensor([0, 2, 0, 0, 1])
    )
    result = evaluate(classifier, guarded, clean, triggered, target=1)
    assert {name: rate.value for name, rate in result.before.items()} == {
        "acc": pytest.approx(4 / 5),
        "asr": pytest.approx(3 / 4),
        "sia": pytest.approx(1 / 4),
    }
    # The clean (1, 4) has 1.5 and is flagged; of the triggered the two with 9 are.
    after = {name: rate.value for name, rate in result.after.items()}
    assert after.pop("auroc") == pytest.approx(auroc_by_hand())
    assert after == {
        "acc": pytest.approx(3 / 5),
        "asr": pytest.approx(1 / 4),
        "sia": pytest.approx(2 / 4),
        "tpr": pytest.approx(2 / 4),
        "fpr": pytest.approx(1 / 5),
        "fpr_target": pytest.approx(1 / 2),
        "fpr_own": pytest.approx(1 / 2),
    }
    assert result.n == {"clean": 5, "triggered": 4}
    assert result.after["fpr_target"].n == 2


@pytest.mark.parametrize(
    ("policy", "acc", "asr", "sia"),
    [
        ("relabel", 3 / 5, 1 / 4, 2 / 4),
        ("reject", 3 / 5, 1 / 4, 1 / 4),
        ("flag", 4 / 5, 3 / 4, 1 / 4),
    ],
)
def test_policies_by_hand(policy: str, acc: float, asr: float, sia: float) -> None:
    """Rejected: a triggered input counts neither as ASR nor as SIA, a clean one as lost ACC."""
    classifier = table_classifier()
    guarded = capped_guard(classifier, policy=policy)
    # As above: of the clean (1, 4) is flagged, of the triggered the two of class 0 and 2 with 9.
    clean = CleanSet(inputs((0, 3), (1, 1), (1, 4), (2, 1), (0, 1)), torch.tensor([0, 1, 1, 2, 2]))
    triggered = CleanSet(inputs((1, 9), (1, 9), (1, 1), (0, 5)), torch.tensor([0, 2, 0, 0]))
    after = evaluate(classifier, guarded, clean, triggered, target=1).after
    assert after["acc"].value == pytest.approx(acc)
    assert after["asr"].value == pytest.approx(asr)
    assert after["sia"].value == pytest.approx(sia)
    assert after["tpr"].value == pytest.approx(2 / 4)
    assert after["fpr_target"].value == pytest.approx(1 / 2)
    # All are counted, the rejected too.
    assert (after["acc"].n, after["asr"].n, after["sia"].n) == (5, 4, 4)


def auroc_by_hand() -> float:
    inf = float("inf")
    positive, negative = [5.25, 5.25, 0.25, -inf], [-inf, 0.25, 1.5, -inf, -inf]
    return sum((p > n) + 0.5 * (p == n) for p in positive for n in negative) / 20


def test_triggered_images_of_the_target_are_left_out() -> None:
    """They are answered t with and without a trigger."""
    classifier = table_classifier()
    clean = CleanSet(inputs((0, 1)), torch.tensor([0]))
    both = CleanSet(inputs((1, 1), (0, 1)), torch.tensor([1, 0]))
    result = evaluate(classifier, capped_guard(classifier), clean, both, target=1)
    assert result.before["asr"].value == 0
    assert result.n["triggered"] == 1
    only = CleanSet(inputs((1, 1)), torch.tensor([1]))
    with pytest.raises(UndoorError, match="of other classes than the target, got none"):
        evaluate(classifier, capped_guard(classifier), clean, only, target=1)


@pytest.mark.parametrize("target", [-1, 3])
def test_target_must_be_a_class(target: int) -> None:
    classifier = table_classifier()
    data = CleanSet(inputs((0, 1)), torch.tensor([0]))
    with pytest.raises(UndoorError, match="0 to 2"):
        evaluate(classifier, capped_guard(classifier), data, data, target=target)


def test_no_clean_input_of_the_target() -> None:
    classifier = table_classifier()
    data = CleanSet(inputs((0, 1)), torch.tensor([0]))
    result = evaluate(classifier, capped_guard(classifier), data, data, target=1)
    assert result.after["fpr_target"] == Rate(None, None, None, 0)
    text = json.dumps(result.to_json(), allow_nan=False)
    assert json.loads(text)["after"]["fpr_target_interval"] is None


def test_more_images_than_a_batch() -> None:
    classifier = table_classifier()
    rows = [(i % 3, 1.0) for i in range(700)]
    data = CleanSet(inputs(*rows), torch.arange(700) % 3)
    result = evaluate(classifier, capped_guard(classifier), data, data, target=1)
    assert result.before["acc"].value == 1
    assert result.before["acc"].n == 700


def test_json() -> None:
    rate = Rate(0.5, 0.25, 0.75, 8)
    evaluation = Evaluation(1, {"acc": rate}, {"acc": rate, "tpr": rate}, {"clean": 8})
    assert evaluation.to_json() == {
        "schema": "undoor/evaluation/1",
        "target": 1,
        "before": {"acc": 0.5, "acc_interval": [0.25, 0.75]},
        "after": {
            "acc": 0.5,
            "acc_interval": [0.25, 0.75],
            "tpr": 0.5,
            "tpr_interval": [0.25, 0.75],
        },
        "n": {"clean": 8},
    }


def test_of_a_real_repair(toy_repair: Repair) -> None:
    """The numbers that the product is for, on unseen images, with the true trigger."""
    classifier = toy_classifier(backdoored=True, norm=True)
    test = clean_images(20, seed=11)
    stamped = stamp_set(test, true_trigger(), TARGET)
    result = evaluate(classifier, guard(classifier, toy_repair), test, stamped, TARGET)
    before = {name: rate.value for name, rate in result.before.items()}
    after = {name: rate.value for name, rate in result.after.items()}
    assert before == {"acc": 1, "asr": 1, "sia": 0}
    assert after["acc"] > 0.95  # type: ignore[operator]
    assert after["asr"] < 0.05  # type: ignore[operator]
    assert after["sia"] > 0.9  # type: ignore[operator]
    assert after["auroc"] > 0.95  # type: ignore[operator]


# Stamping


def test_stamp_set() -> None:
    clean = clean_images(4)
    stamped = stamp_set(clean, true_trigger(), TARGET)
    keep = clean.labels != TARGET
    assert torch.equal(stamped.labels, clean.labels[keep])
    expected = true_trigger()(clean.images[keep])
    assert float((stamped.images - expected).abs().max()) <= 0.5 / 255 + 1e-6
    assert torch.equal(stamped.images[:, :, :2, :2], expected[:, :, :2, :2])


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
def test_stamped_images_are_bytes(bounds: tuple[float, float]) -> None:
    low, high = bounds
    x = low + (high - low) * torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    trigger = Stamp("given", torch.zeros(1, 4, 4), torch.full((1, 4, 4), 0.013), "add", bounds)
    images = stamp_set(CleanSet(x, torch.arange(6)), trigger, 0).images
    steps = (images - low) / (high - low) * 255
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert low <= float(images.min()) <= float(images.max()) <= high


def test_one_source() -> None:
    clean = clean_images(4)
    stamped = stamp_set(clean, true_trigger(), TARGET, source=5)
    assert stamped.labels.tolist() == [5] * 4


def test_stamp_refusals() -> None:
    clean = clean_images(2)
    with pytest.raises(UndoorError, match="must differ from the target"):
        stamp_set(clean, true_trigger(), TARGET, source=TARGET)
    with pytest.raises(UndoorError, match="images of class 9 to stamp, got none"):
        stamp_set(clean, true_trigger(), TARGET, source=9)
    alone = CleanSet(clean.images[:2], torch.full((2,), TARGET))
    with pytest.raises(UndoorError, match=f"other classes than {TARGET}"):
        stamp_set(alone, true_trigger(), TARGET)
