"""The guarded model without control flow."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from helpers.guarded_networks import inputs, subject
from helpers.tiny import KINDS, random_classifier, random_inputs, storages
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.export.graph import GuardedGraph
from undoor.guard import Guarded, guard
from undoor.sites import ENTRY, find_sites
from undoor.vocabulary import POLICIES, RULES


def same(guarded: Guarded, x: torch.Tensor) -> None:
    for a, b in zip(guarded.logits(x), GuardedGraph(guarded)(x), strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-5)


quarters = st.integers(-32, 32).map(lambda n: n / 4)
rows = hnp.arrays("float32", st.tuples(st.integers(0, 12), st.just(4)), elements=quarters)
shifts = st.lists(quarters, min_size=4, max_size=4)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("rule", RULES)
@given(x=rows, first=shifts, second=shifts, limits=st.tuples(quarters, quarters))
def test_same_to_the_last_bit(rule, policy, x, first, second, limits) -> None:  # type: ignore[no-untyped-def]
    """Ties with the threshold and between classes included: sums of quarters are exact."""
    classifier = Classifier(nn.Flatten(), input_shape=(4,), bounds=(-10, 10))
    one = torch.ones(4)
    corrections = {
        target: {ENTRY: Correction(one, torch.tensor(values), -100 * one, 100 * one)}
        for target, values in ((1, first), (3, second))
    }
    thresholds = dict(zip((1, 3), limits, strict=True))
    guarded = Guarded(classifier, corrections, thresholds, rule=rule, policy=policy)
    images = torch.from_numpy(x)
    for a, b in zip(guarded.logits(images), GuardedGraph(guarded)(images), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", POLICIES)
def test_same_on_networks(kind: str, policy: str) -> None:
    classifier = random_classifier(kind)
    x = random_inputs(classifier, 100)
    half = {
        site.name: Correction(*(torch.full(site.shape, v) for v in (0.5, 0.2, -9.0, 9.0)))
        for site in find_sites(classifier)
    }
    same(Guarded(classifier, {0: half, 2: half}, {0: 0.05, 2: 0.05}, policy=policy), x)


@pytest.mark.parametrize("family", ["ResNet9", "ViT"])
def test_same_where_some_are_flagged(family: str) -> None:
    model, repair = subject(family)
    x = inputs(64)
    guarded = guard(model, repair)
    flagged = guarded.logits(x)[1]
    assert 5 < int(flagged.sum()) < 59
    same(guarded, x)


def test_shares_nothing_and_changes_nothing() -> None:
    model, repair = subject("PlainCNN")
    guarded = guard(model, repair)
    graph = GuardedGraph(guarded)
    assert not storages(graph) & storages(guarded)
    assert all(parameter.is_contiguous() for parameter in graph.parameters())
    before = guarded.logits(inputs(8))
    for tensor in graph.state_dict().values():
        tensor.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, guarded.logits(inputs(8)), strict=True))
