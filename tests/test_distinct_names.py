"""Class names that several classes have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import read_clean_set
from undoor.distinct_names import distinct_names
from undoor.errors import UndoorError


def test_are_told_apart() -> None:
    assert distinct_names(["a", "b", "a"]) == ("a (0)", "b", "a (2)")
    assert distinct_names(["a", "b"]) == ("a", "b")
    with pytest.raises(UndoorError, match=r"different name for each class, got 'a \(0\)' twice"):
        distinct_names(["a", "a", "a (0)"])


def test_in_a_classifier_and_its_data(tmp_path: Path) -> None:
    names = ["crane", "dog", "crane"]
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    classifier = Classifier(network, input_shape=(3, 4, 4), class_names=names)
    assert classifier.class_names == ("crane (0)", "dog", "crane (2)")
    x = np.zeros((3, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=[2, 1, 0], classes=np.array(names))
    clean = read_clean_set(tmp_path / "d.npz", classifier=classifier)
    assert clean.labels.tolist() == [2, 1, 0]
    assert clean.class_names == classifier.class_names
