"""Choosing clean samples, and checking them and other inputs against a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import arrays, make_folder, picture

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, Reading, read_images
from undoor.errors import UndoorError

Make = Callable[..., Classifier]


# Choosing


def test_balanced() -> None:
    clean = arrays(*[0] * 10, *[1] * 3, 2)
    some = clean.balanced(2, seed=1)
    assert torch.bincount(some.labels).tolist() == [2, 2, 1]
    assert torch.equal(some.labels, clean.balanced(2, seed=1).labels)
    orders = {tuple(clean.balanced(None, seed=s).labels.tolist()) for s in range(5)}
    assert len(orders) > 1
    assert all(sorted(order) == clean.labels.tolist() for order in orders)
    with pytest.raises(UndoorError, match="per_class must be 1 or more"):
        clean.balanced(0, seed=1)


def test_balanced_keeps_images_and_labels_together() -> None:
    labels = np.arange(9) % 3
    images = np.broadcast_to(labels[:, None, None], (9, 2, 2)).astype(np.float32)
    clean = CleanSet.from_arrays(images, labels).balanced(2, seed=3)
    assert torch.equal(clean.images[:, 0, 0, 0].long(), clean.labels)


# Fitting a model


def test_for_classifier_maps_bytes_to_the_bounds(make_classifier: Make) -> None:
    classifier = make_classifier(bounds=(-1, 1))
    fitted = arrays(0, 1, 2, value=np.uint8(255)).for_classifier(classifier)
    assert fitted.images.unique().tolist() == [1.0]
    again = fitted.for_classifier(classifier)
    assert torch.equal(again.images, fitted.images)


def test_for_classifier_leaves_floats(make_classifier: Make) -> None:
    clean = arrays(0, 1, 2, value=np.float32(0.25))
    assert clean.for_classifier(make_classifier()).images.unique().tolist() == [0.25]


def test_transparency_is_dropped_for_a_colour_model(classifier: Classifier) -> None:
    clean = arrays(0, 1, 2, shape=(4, 4, 4))
    assert clean.for_classifier(classifier).images.shape == (3, 3, 4, 4)


@pytest.mark.parametrize(
    ("clean", "options", "message"),
    [
        (arrays(), {}, r"clean set is empty"),
        (arrays(0, 1, 2, 7), {}, r"label 7 is no class of the model, whose 3 classes are 0 to 2"),
        (arrays(0, -1), {}, r"label -1 is no class"),
        (arrays(0, 1), {}, r"^class 2 has no images; every class needs at least one"),
        (arrays(0), {}, r"^all images are of one class"),
        (arrays(0, 1, 2, shape=(4, 4)), {}, r"images are grey \(1 channels\), the model takes col"),
        (arrays(0, 1), {"input_shape": (1, 4, 4)}, r"images are colour .* takes grey images"),
        (arrays(0, 1, shape=(5, 4, 3)), {}, r"shape \(3, 5, 4\), the model takes \(3, 4, 4\)"),
        (arrays(0, 1, value=np.float32(200)), {}, r"200, but .* 0 to 1; divide the images by 255"),
        (arrays(0, 1, value=np.float32(-2)), {}, r"undo their normalisation"),
        (arrays(0, 1, value=np.float32(300)), {}, r"scale the images to the model's bounds"),
        (arrays(0, 1, value=np.float32(0.5)), {"bounds": (0, 255)}, r"multiply the images by 255"),
        (arrays(0, 1, value=np.float32("nan")), {}, r"NaN or infinite"),
    ],
)
def test_for_classifier_refuses(
    make_classifier: Make, clean: CleanSet, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UndoorError, match=message):
        clean.for_classifier(make_classifier(**options))


def test_missing_classes_may_be_allowed(make_classifier: Make) -> None:
    classifier = make_classifier(class_names=["a", "b", "stop"])
    assert len(arrays(0, 1).for_classifier(classifier, require_all_classes=False)) == 2
    assert len(arrays(0, 0).for_classifier(classifier, require_all_classes=False)) == 2
    with pytest.raises(UndoorError, match=r"all images are of one class"):
        arrays(0, 0).for_classifier(classifier)
    with pytest.raises(UndoorError, match=r"class 2 \(stop\) has no images"):
        arrays(0, 1).for_classifier(classifier)


def test_names_in_another_order_are_matched(tmp_path: Path, make_classifier: Make) -> None:
    clean = CleanSet.from_folder(make_folder(tmp_path, ["a", "b", "c"], each=1))
    fitted = clean.for_classifier(make_classifier(class_names=["c", "a", "b"]))
    assert fitted.labels.tolist() == [1, 2, 0]
    assert fitted.class_names == ("c", "a", "b")


def test_other_number_of_names(tmp_path: Path, classifier: Classifier) -> None:
    clean = CleanSet.from_folder(make_folder(tmp_path, ["a", "b"]))
    with pytest.raises(
        UndoorError, match=r"has 2 classes \(a, b\), the model 3 without names; name"
    ):
        clean.for_classifier(classifier)


@pytest.mark.parametrize(
    ("lost_of", "tried_of", "unlabelled", "message"),
    [
        ({}, {"a": 4}, 0, None),
        ({"a": 1}, {"a": 2, "b": 2}, 0, None),
        (
            {"a": 2},
            {"a": 2, "b": 5},
            0,
            r"2 of 7 images could not be .* \(2 damaged; the first: x",
        ),
        ({"a": 2}, {"a": 3, "b": 50}, 0, r"2 of 3 images of the class 'a' could not be used"),
        ({}, {"a": 3, "b": 3}, 2, None),
        ({}, {"a": 3, "b": 3}, 3, r"3 of 9 images could not be used"),
    ],
)
def test_a_remnant_is_no_data_set(
    classifier: Classifier,
    lost_of: dict[str, int],
    tried_of: dict[str, int],
    unlabelled: int,
    message: str | None,
) -> None:
    lost = {"damaged": sum(lost_of.values()), "no label": unlabelled}
    lost = {kind: count for kind, count in lost.items() if count}
    reading = Reading(("x: torn",), lost=lost, lost_of=lost_of, tried_of=tried_of)
    clean = replace(arrays(0, 1, 2), reading=reading)
    if message is None:
        assert clean.for_classifier(classifier).for_classifier(classifier).reading == reading
    else:
        with pytest.raises(UndoorError, match=message):
            clean.for_classifier(classifier)


def test_all_left_out(classifier: Classifier) -> None:
    with pytest.raises(UndoorError, match=r"classes that --classes leaves out"):
        arrays(0, 1).for_classifier(classifier, classes={"0": None, "1": None})


# Inputs to check


def test_read_images(tmp_path: Path, make_classifier: Make) -> None:
    classifier = make_classifier(bounds=(0, 255))
    make_folder(tmp_path / "deep", ["a", "b"], each=1, size=(9, 9))
    (tmp_path / "deep" / "a" / "notes.txt").write_text("")
    picture(7, "L").save(tmp_path / "grey.png")
    picture(257, "I;16").save(tmp_path / "deep" / "deep.png")
    np.savez(tmp_path / "d.npz", x=np.full((2, 4, 4, 3), 5, np.uint8))
    paths = [tmp_path / "grey.png", tmp_path / "deep", tmp_path / "d.npz"]
    (tmp_path / "deep" / "z.png").touch()
    images, names, reading = read_images(paths, classifier)
    assert images.shape == (6, 3, 4, 4)
    assert images[:, 0, 0, 0].round().tolist() == [7, 0, 10, 1, 5, 5]
    assert [Path(name).name for name in names] == [
        "grey.png", "0.png", "0.png", "deep.png", "d.npz[0]", "d.npz[1]"
    ]  # fmt: skip
    assert len(reading.skipped) == 2
    assert "notes.txt: not an image file (.txt)" in reading.skipped[0]
    assert reading.lost == {"empty": 1}
    assert reading.changed == {"16-bit": 1}


def test_read_images_errors(tmp_path: Path, make_classifier: Make) -> None:
    grey = make_classifier((1, 4, 4))
    with pytest.raises(UndoorError, match=r"x.png does not exist; expected an image"):
        read_images([tmp_path / "x.png"], grey)
    picture().save(tmp_path / "x.png")
    with pytest.raises(UndoorError, match=r"no readable image to check .*colour image, and"):
        read_images([tmp_path / "x.png"], grey)
    np.savez(tmp_path / "d.npz", x_a=np.zeros((2, 5, 5), np.uint8))
    with pytest.raises(UndoorError, match=r"d.npz: the images have the shape \(1, 5, 5\)"):
        read_images([tmp_path / "d.npz"], grey, split="a")
