"""The pair of the original and its corrected networks."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

from helpers.tiny import (
    KINDS,
    TARGET,
    assert_unchanged,
    clean_images,
    random_classifier,
    random_inputs,
    snapshot,
    storages,
    toy_classifier,
    true_trigger,
)
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import Guarded, guard
from undoor.repair import Repair
from undoor.sites import ENTRY, attach, find_sites
from undoor.tasks.task import LOWEST
from undoor.vocabulary import NO_SCORE, POLICIES, REJECTED, RULES

CLASSES = 4


def identity() -> Classifier:
    """A network whose logits are its input."""
    return Classifier(nn.Flatten(), input_shape=(CLASSES,), bounds=(-10, 10))


def shift(values: list[float], low: float = -100, high: float = 100) -> Correction:
    one = torch.ones(CLASSES)
    return Correction(one, torch.tensor(values), low * one, high * one)


def halves(classifier: Classifier) -> dict[str, Correction]:
    out = {}
    for site in find_sites(classifier):
        one = torch.ones(site.shape[0], *[1] * (len(site.shape) - 1))
        out[site.name] = Correction(0.5 * one, 0.2 * one, -9 * one, 9 * one)
    return out


def by_hand(
    row: list[float], shifts: dict[int, list[float]], thresholds: dict[int, float], rule: str
) -> tuple[int, bool, float]:
    """The rule of inference for one input, written out."""
    answer = max(range(CLASSES), key=lambda k: row[k])
    if answer not in shifts:
        return answer, False, NO_SCORE
    after = [np.float32(v) + np.float32(s) for v, s in zip(row, shifts[answer], strict=True)]

    def margin(z: Sequence[float | np.floating[Any]]) -> float:
        return float(z[answer] - max(v for k, v in enumerate(z) if k != answer))

    if rule == "disagreement":
        flagged, score = margin(after) < 0, -margin(after)
    else:
        score = 0.75 * margin(row) - margin(after)
        flagged = score > thresholds[answer]
    if flagged:
        answer = max((k for k in range(CLASSES) if k != answer), key=lambda k: after[k])
    return answer, flagged, score


# Multiples of 1/4 in float32: sums and margins are exact, and so are ties with the threshold.
quarters = st.integers(-32, 32).map(lambda n: n / 4)
logits_of = hnp.arrays(np.float32, st.tuples(st.integers(0, 12), st.just(CLASSES)),
                       elements=quarters)  # fmt: skip


@given(
    x=logits_of,
    first=st.lists(quarters, min_size=4, max_size=4),
    second=st.lists(quarters, min_size=4, max_size=4),
    thresholds=st.tuples(quarters, quarters),
    rule=st.sampled_from(["margin", "disagreement"]),
)
def test_rule_by_hand(
    x: np.ndarray,
    first: list[float],
    second: list[float],
    thresholds: tuple[float, float],
    rule: str,
) -> None:
    shifts = {1: first, 3: second}
    limits = dict(zip(shifts, thresholds, strict=True))
    corrections = {target: {ENTRY: shift(values)} for target, values in shifts.items()}
    guarded = Guarded(identity(), corrections, limits, rule=rule)
    labels, flagged, score = guarded(torch.from_numpy(x))
    expected = [by_hand(row.tolist(), shifts, limits, rule) for row in x]
    assert labels.tolist() == [e[0] for e in expected]
    assert flagged.tolist() == [e[1] for e in expected]
    assert score.tolist() == [e[2] for e in expected]


def test_threshold_itself_is_not_flagged() -> None:
    x = torch.tensor([[0.0, 2, 0, 0]])
    for threshold, expected in ((0.5, False), (0.25, True)):
        guarded = Guarded(identity(), {1: {ENTRY: shift([0, -1, 0, 0])}}, {1: threshold})
        _, flagged, score = guarded(x)
        assert score.tolist() == [0.5]
        assert flagged.tolist() == [expected]


def test_disagreement_rule_needs_no_threshold() -> None:
    """It flags what the corrected network answers otherwise, however little the margin fell."""
    corrections = {1: {ENTRY: shift([0, -1, 0, 0])}}
    x = torch.tensor([[0.0, 0.5, 0, 0], [0, 2, 0, 0]])
    for threshold in (0.0, 1e9):
        _, flagged, _ = Guarded(identity(), corrections, {1: threshold}, rule="disagreement")(x)
        assert flagged.tolist() == [True, False]
    _, flagged, _ = Guarded(identity(), corrections, {1: 0.25})(x)
    assert flagged.tolist() == [True, True]


def test_unknown_rule_is_refused() -> None:
    """A slip of the pen must not choose another rule in silence."""
    with pytest.raises(Exception, match="rule"):
        Guarded(identity(), {1: {ENTRY: shift([0, -1, 0, 0])}}, {1: 0.0}, rule="paper")


def test_logits_of_flagged_inputs() -> None:
    """A server that takes the largest logit gets the guarded answer; the target cannot win."""
    guarded = Guarded(identity(), {1: {ENTRY: shift([0.5, -1, 0, 0])}}, {1: 0.0})
    x = torch.tensor([[0.0, 5, 1, 2], [3, 0, 1, 2]])
    logits, flagged, _ = guarded.logits(x)
    assert flagged.tolist() == [True, False]
    assert logits.tolist() == [[0.5, LOWEST, 1, 2], [3, 0, 1, 2]]
    assert guarded(x)[0].tolist() == [3, 0]


# Policies

SHIFTED = {1: {ENTRY: shift([0.5, -1, 0, 0])}}
MIXED = torch.tensor([[0.0, 5, 1, 2], [3, 0, 1, 2], [0, 1, 9, 0]])


def test_rejected_inputs_have_no_class() -> None:
    """Their label is -1. Their logits know no more than that they are not the target's."""
    guarded = Guarded(identity(), SHIFTED, {1: 0.0}, policy="reject")
    labels, flagged, score = guarded(MIXED)
    assert REJECTED == -1
    assert labels.tolist() == [REJECTED, 0, 2]
    assert flagged.tolist() == [True, False, False]
    logits, again, _ = guarded.logits(MIXED)
    assert again.tolist() == flagged.tolist()
    assert logits.tolist() == [[0, LOWEST, 0, 0], [3, 0, 1, 2], [0, 1, 9, 0]]
    shares = logits.softmax(1)[0].tolist()
    assert shares == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
    assert score[0] == Guarded(identity(), SHIFTED, {1: 0.0})(MIXED)[2][0]


@pytest.mark.parametrize("target", range(CLASSES))
def test_largest_logit_of_a_rejected_input_is_never_the_target(target: int) -> None:
    """A server that overlooks the flag must not give the attacker what he wants."""
    values = [0.0] * CLASSES
    values[target] = -20.0
    guarded = Guarded(identity(), {target: {ENTRY: shift(values)}}, {target: 0}, policy="reject")
    logits, flagged, _ = guarded.logits(torch.eye(CLASSES)[[target]])
    assert flagged.tolist() == [True]
    assert int(logits.argmax(1)) != target


def test_flagged_inputs_keep_the_bare_answer() -> None:
    guarded = Guarded(identity(), SHIFTED, {1: 0.0}, policy="flag")
    labels, flagged, _ = guarded(MIXED)
    assert labels.tolist() == [1, 0, 2]
    assert flagged.tolist() == [True, False, False]
    assert torch.equal(guarded.logits(MIXED)[0], MIXED)


@given(x=logits_of, first=st.lists(quarters, min_size=4, max_size=4), threshold=quarters)
@pytest.mark.parametrize("rule", RULES)
def test_policies_differ_on_flagged_inputs_alone(
    rule: str, x: np.ndarray, first: list[float], threshold: float
) -> None:
    inputs = torch.from_numpy(x)
    corrections = {1: {ENTRY: shift(first)}}
    made = {
        policy: Guarded(identity(), corrections, {1: threshold}, rule=rule, policy=policy)
        for policy in POLICIES
    }
    labels, flagged, score = made["relabel"](inputs)
    for policy, guarded in made.items():
        other, same_flags, same_score = guarded(inputs)
        assert torch.equal(same_flags, flagged)
        assert torch.equal(same_score, score)
        assert torch.equal(other[~flagged], labels[~flagged])
        if policy == "reject":
            assert bool((other[flagged] == REJECTED).all())
        elif policy == "flag":
            assert torch.equal(other, inputs.argmax(1))


def test_relabel_is_the_default() -> None:
    assert POLICIES == ("relabel", "reject", "flag")
    assert Guarded(identity(), SHIFTED, {1: 0.0}).policy == "relabel"


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(UndoorError, match=r"policy.*relabel, reject, flag, got 'drop'"):
        Guarded(identity(), SHIFTED, {1: 0.0}, policy="drop")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["margin", "disagreement"])
def test_unflagged_inputs_keep_their_answers(kind: str, rule: str) -> None:
    classifier = random_classifier(kind)
    x = random_inputs(classifier, 200)
    original = classifier(x)
    target = int(original.argmax(1).mode().values)
    guarded = Guarded(classifier, {target: halves(classifier)}, {target: 0.05}, rule=rule)
    labels, flagged, score = guarded(x)
    logits, _, _ = guarded.logits(x)
    assert torch.equal(labels[~flagged], original.argmax(1)[~flagged])
    torch.testing.assert_close(logits[~flagged], original[~flagged], rtol=1e-5, atol=1e-5)
    # Flags are for the target alone, and flagged inputs are answered otherwise.
    assert not bool(flagged[original.argmax(1) != target].any())
    assert not bool((labels[flagged] == target).any())
    assert torch.equal(score == NO_SCORE, original.argmax(1) != target)


class Counter(Correction):
    """An identity that counts the rows that pass."""

    def __init__(self) -> None:
        one = torch.ones(CLASSES)
        super().__init__(one, 0 * one, -100 * one, 100 * one)
        self.rows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return x


def test_second_pass_only_for_inputs_answered_with_a_target() -> None:
    guarded = Guarded(identity(), {1: {ENTRY: Counter()}, 3: {ENTRY: Counter()}}, {1: 0, 3: 0})
    counters = [m for m in guarded.modules() if isinstance(m, Counter)]
    labels = [0, 1, 1, 2, 3, 1, 0, 0]
    guarded(torch.eye(CLASSES)[labels])
    assert [counter.rows for counter in counters] == [[3], [1]]
    guarded(torch.eye(CLASSES)[[0, 2, 0]])
    assert [counter.rows for counter in counters] == [[3], [1]]


def test_original_sees_each_input_once() -> None:
    network = nn.Sequential(Counter(), nn.Flatten())
    classifier = Classifier(network, input_shape=(CLASSES,), bounds=(-10, 10))
    guarded = Guarded(classifier, {1: {ENTRY: shift([0, 0, 0, 0])}}, {1: 0})
    counter = guarded.original.get_submodule("network.0")
    assert isinstance(counter, Counter)
    counter.rows.clear()
    guarded(torch.eye(CLASSES)[[0, 1, 1]])
    assert counter.rows == [3]


@pytest.mark.parametrize("count", [0, 1])
def test_small_batches(count: int) -> None:
    classifier = random_classifier("conv_norm")
    guarded = Guarded(classifier, {0: halves(classifier)}, {0: 0.0})
    labels, flagged, score = guarded(random_inputs(classifier, count))
    assert labels.shape == flagged.shape == score.shape == (count,)
    assert (labels.dtype, flagged.dtype) == (torch.int64, torch.bool)


def test_input_is_not_changed() -> None:
    """Its network returns its input; the answers are written elsewhere."""
    guarded = Guarded(identity(), {1: {ENTRY: shift([0, -9, 0, 0])}}, {1: 0.0})
    x = torch.eye(CLASSES)
    before = x.clone()
    assert bool(guarded(x)[1].any())
    assert torch.equal(x, before)


# Independence


@pytest.mark.parametrize("kind", KINDS)
def test_shares_no_memory(kind: str) -> None:
    classifier = random_classifier(kind)
    corrections = halves(classifier)
    before = snapshot(classifier)
    guarded = Guarded(classifier, {0: corrections, 2: corrections}, {0: 0.1, 2: 0.1})
    theirs = storages(classifier).union(*(storages(h) for h in corrections.values()))
    assert not storages(guarded) & theirs
    guarded(random_inputs(classifier, 20))
    assert_unchanged(classifier, before)


@pytest.mark.parametrize("kind", KINDS)
def test_corrected_networks_share_the_original_weights(kind: str) -> None:
    """Two targets take hardly more memory than none."""
    classifier = random_classifier(kind)
    guarded = Guarded(classifier, {t: halves(classifier) for t in (0, 2)}, {0: 0.1, 2: 0.1})
    own = storages(guarded.original)
    for network in guarded.corrected:
        assert own <= storages(network)
    assert len(list(guarded.corrected)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_changes_do_not_reach_the_other(kind: str) -> None:
    classifier = random_classifier(kind)
    corrections = halves(classifier)
    guarded = Guarded(classifier, {0: corrections}, {0: -1.0})
    x = random_inputs(classifier, 60)
    bare, answers = classifier(x), guarded.logits(x)
    for tensor in guarded.state_dict().values():
        tensor.zero_()
    assert torch.equal(classifier(x), bare)
    guarded = Guarded(classifier, {0: corrections}, {0: -1.0})
    with torch.no_grad():
        for tensor in classifier.state_dict().values():
            tensor.zero_()
    for h in corrections.values():
        h.scale.zero_()
    for old, new in zip(answers, guarded.logits(x), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("through", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(through: object) -> None:
    assert callable(through)
    classifier = random_classifier("conv_norm")
    guarded = Guarded(classifier, {0: halves(classifier)}, {0: 0.0})
    twin = through(guarded)
    x = random_inputs(classifier, 40)
    for a, b in zip(guarded.logits(x), twin.logits(x), strict=True):
        assert torch.equal(a, b)
    assert not storages(twin) & storages(guarded)


def test_makes_no_graph() -> None:
    guarded = Guarded(identity(), {1: {ENTRY: shift([0, -9, 0, 0])}}, {1: 0.0})
    x = torch.eye(CLASSES).requires_grad_()
    logits, _, score = guarded.logits(x)
    assert not logits.requires_grad
    assert not score.requires_grad


@pytest.mark.parametrize("part", ["all", "original", "corrected"])
def test_training_mode_moves_no_statistics(part: str) -> None:
    classifier = random_classifier("conv_norm")
    guarded = Guarded(classifier, {0: halves(classifier), 2: halves(classifier)}, {0: 0, 2: 0})
    x = random_inputs(classifier, 40)
    before, answers = copy.deepcopy(dict(guarded.state_dict())), guarded.logits(x)
    {"all": guarded, "original": guarded.original, "corrected": guarded.corrected}[part].train()
    for old, new in zip(answers, guarded.logits(x), strict=True):
        assert torch.equal(old, new)
    assert all(torch.equal(v, before[k]) for k, v in guarded.state_dict().items())


# Made of a repair


def test_guard_of_a_repair(toy_repair: Repair) -> None:
    classifier = toy_classifier(backdoored=True, norm=True)
    clean = clean_images(20, seed=4)
    stamped = true_trigger()(clean.images)
    guarded = guard(classifier, toy_repair)
    labels, flagged, _ = guarded(stamped)
    others = clean.labels != TARGET
    assert float(flagged[others].float().mean()) > 0.95
    assert float((labels == clean.labels)[others].float().mean()) > 0.9
    labels, flagged, _ = guarded(clean.images)
    assert float((labels == clean.labels).float().mean()) > 0.95
    assert float(flagged.float().mean()) < 0.05
    assert guarded.targets == (TARGET,)
    assert guarded.thresholds == (toy_repair.targets[0].threshold,)


def test_guard_by_disagreement(toy_repair: Repair) -> None:
    """Flagged is what the corrected network answers otherwise, and nothing else."""
    classifier = toy_classifier(backdoored=True, norm=True)
    corrected = attach(classifier, toy_repair.targets[0].corrections)
    clean = clean_images(20, seed=4).images
    x = torch.cat([clean, true_trigger()(clean)])
    _, flagged, _ = guard(classifier, toy_repair, rule="disagreement")(x)
    expected = (classifier.predict(x) == TARGET) & (corrected.predict(x) != TARGET)
    assert torch.equal(flagged, expected)


def test_guard_with_a_policy(toy_repair: Repair) -> None:
    classifier = toy_classifier(backdoored=True, norm=True)
    clean = clean_images(20, seed=4)
    others = clean.labels != TARGET
    stamped = true_trigger()(clean.images[others])
    labels, flagged, _ = guard(classifier, toy_repair, policy="reject")(stamped)
    assert float(flagged.float().mean()) > 0.95
    assert torch.equal(labels == REJECTED, flagged)
    labels, again, _ = guard(classifier, toy_repair, policy="flag")(stamped)
    assert torch.equal(again, flagged)
    assert torch.equal(labels, classifier.predict(stamped))


def test_guard_of_an_empty_repair(toy_repair: Repair) -> None:
    """A clean model: the bare answers, no flags."""
    classifier = toy_classifier(backdoored=True)
    empty = replace(toy_repair, verdict="clean", targets=(), fingerprint=classifier.fingerprint())
    x = true_trigger()(clean_images(5).images)
    labels, flagged, score = guard(classifier, empty)(x)
    assert torch.equal(labels, classifier.predict(x))
    assert not bool(flagged.any())
    assert bool((score == NO_SCORE).all())


def test_guard_of_another_model(toy_repair: Repair) -> None:
    with pytest.raises(UndoorError, match="made for another model"):
        guard(toy_classifier(backdoored=False, norm=True), toy_repair)
