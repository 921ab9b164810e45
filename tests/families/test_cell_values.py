"""The values of a number that stand for the intervals between a model's own thresholds."""

from __future__ import annotations

import pytest
from torch import nn

from helpers.planted_trees import COLUMNS, PLANTED, clean_rows, model
from undoor.classifier import Classifier
from undoor.families.cell_values import between_thresholds, every_interval, threshold_shares


def test_one_value_for_each_interval() -> None:
    classifier, x = model(planted=True), clean_rows().images
    values = between_thresholds(classifier, 1, x, None)
    assert values is not None
    edges = [0, 0.3, *PLANTED, 1]
    inside = [sum(low < v < high for v in values.tolist()) for low, high in zip(edges, edges[1:])]  # noqa: B905, RUF007
    assert inside == [1, 1, 1, 1]


def test_values_are_those_of_clean_rows_where_there_are_some() -> None:
    classifier, x = model(planted=True), clean_rows().images
    values = between_thresholds(classifier, 0, x, None)
    assert values is not None
    assert all(bool((x[:, 0] == value).any()) for value in values.tolist())


def test_narrow_intervals_come_first() -> None:
    values = between_thresholds(model(planted=True), 1, clean_rows().images, 1)
    assert values is not None
    assert PLANTED[0] < float(values) < PLANTED[1]


def test_every_interval_of_all_numbers() -> None:
    found = every_interval(model(planted=True), clean_rows().images)
    assert [column for column, _ in found] == [0, 0, 1, 1, 1, 1]


def test_models_that_show_no_thresholds() -> None:
    linear = Classifier(nn.Linear(5, 2), columns=COLUMNS)
    assert threshold_shares(linear, 0) is None
    assert between_thresholds(linear, 0, clean_rows().images) is None
    assert every_interval(linear, clean_rows().images) == []


def test_thresholds_are_shares_of_the_range() -> None:
    shares = threshold_shares(model(planted=False), 0)
    assert shares is not None
    assert shares.tolist() == pytest.approx([0.5], abs=1e-5)
