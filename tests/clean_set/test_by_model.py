"""Inputs without labels, which the model labels itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.tiny import clean_images, toy_classifier
from undoor.clean_set import labelled_by_model, read_labelled_by_model
from undoor.errors import UndoorError


def test_labels_are_the_predictions() -> None:
    classifier, clean = toy_classifier(backdoored=True), clean_images(5)
    found = labelled_by_model(clean.images, classifier)
    assert found.by_model
    assert not clean.by_model
    assert torch.equal(found.labels, classifier.predict(found.images))
    few = labelled_by_model(clean.images, classifier, per_class=2)
    assert few.by_model
    assert few.labels.bincount().tolist() == [2] * classifier.num_classes


def test_images_of_one_class_are_refused() -> None:
    classifier, clean = toy_classifier(backdoored=True), clean_images(5)
    with pytest.raises(UndoorError, match="at least two classes"):
        labelled_by_model(clean.images[clean.labels == 1], classifier)


def test_a_folder_without_class_folders_is_read(tmp_path: Path) -> None:
    classifier, clean = toy_classifier(backdoored=True), clean_images(3)
    for index, image in enumerate(clean.images):
        pixels = (255 * image[0]).round().to(torch.uint8).numpy()
        Image.fromarray(np.asarray(pixels)).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.md").write_text("no image")
    found = read_labelled_by_model([tmp_path], classifier)
    assert len(found) == len(clean)
    assert sorted(found.labels.tolist()) == sorted(clean.labels.tolist())
    assert len(found.reading.skipped) == 1
