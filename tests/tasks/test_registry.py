"""Which task outputs are of."""

from __future__ import annotations

import pytest
from torch import nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.tasks.registry import task_named
from undoor.tasks.single_label import SINGLE_LABEL


def test_by_name() -> None:
    assert task_named("single label") is SINGLE_LABEL
    with pytest.raises(UndoorError, match=r"expected a task \(single label, .*\), got 'tea'"):
        task_named("tea")


def test_a_classifier_has_one() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    classifier = Classifier(network, input_shape=(12,))
    assert classifier.task is SINGLE_LABEL
    assert classifier.num_classes == classifier.num_outputs == 3
