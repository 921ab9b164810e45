"""Choosing clean samples, and checking them and other inputs against a model."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.pictures import arrays, encoded, make_folder, picture
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, Reading, read_clean_set, read_images
from undoor.clean_set.fit import require_readable
from undoor.clean_set.index import Selection, gather
from undoor.clean_set.open import open_index
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
    with pytest.raises(UndoorError, match="per_class must be at least 1"):
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


def coloured() -> CleanSet:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[1, 0, 0, 2] = 1
    return CleanSet.from_arrays(images, [0, 1])


@pytest.mark.parametrize(
    ("clean", "options", "message"),
    [
        (arrays(), {}, r"clean set is empty"),
        (arrays(0, 1, 2, 7), {}, r"label 7 is no class of the model, whose 3 classes are 0 to 2"),
        (arrays(0, -1), {}, r"label -1 is no class"),
        (arrays(0), {}, r"^expected images of at least 2 classes, got some of one"),
        (coloured(), {"input_shape": (1, 4, 4)}, r"images are colour .* takes grey images"),
        (arrays(0, 1), {"input_shape": (4, 4, 4)}, r"images are colour .* takes colour with tr"),
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
    assert len(arrays(0, 1).for_classifier(classifier, require_several_classes=False)) == 2
    assert len(arrays(0, 0).for_classifier(classifier, require_several_classes=False)) == 2
    with pytest.raises(UndoorError, match=r"expected images of at least 2 classes"):
        arrays(0, 0).for_classifier(classifier)


def test_classes_without_images_are_noted_once(make_classifier: Make) -> None:
    classifier = make_classifier(class_names=["a", "b", "stop"])
    once = arrays(0, 1).for_classifier(classifier)
    assert len(once) == 2
    (note,) = once.reading.notes
    assert note.startswith("class 2 (stop) has no images: a backdoor that moves images of")
    assert once.for_classifier(classifier).reading.notes == (note,)
    assert arrays(0, 1, 2).for_classifier(classifier).reading.notes == ()


def test_names_in_another_order_are_matched(tmp_path: Path, make_classifier: Make) -> None:
    clean = CleanSet.from_folder(make_folder(tmp_path, ["a", "b", "c"], each=1))
    fitted = clean.for_classifier(make_classifier(class_names=["c", "a", "b"]))
    assert fitted.labels.tolist() == [1, 2, 0]
    assert fitted.class_names == ("c", "a", "b")


def test_other_number_of_names(tmp_path: Path, classifier: Classifier) -> None:
    clean = CleanSet.from_folder(make_folder(tmp_path, ["a", "b"]))
    with pytest.raises(
        UndoorError,
        match=r"has 2 classes \(a, b\), but the model has 3 classes without names; name",
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
    assert reading.changed == {"16-bit": 1, "grey as colour": 2}


def test_read_images_errors(tmp_path: Path, make_classifier: Make) -> None:
    grey = make_classifier((1, 4, 4))
    with pytest.raises(UndoorError, match=r"x.png does not exist; expected inputs for the model"):
        read_images([tmp_path / "x.png"], grey)
    Image.new("RGB", (4, 4), (9, 9, 10)).save(tmp_path / "x.png")
    with pytest.raises(UndoorError, match=r"no readable image to check .*colour image, and"):
        read_images([tmp_path / "x.png"], grey)
    np.savez(tmp_path / "d.npz", x_a=np.zeros((2, 5, 5), np.uint8))
    with pytest.raises(UndoorError, match=r"d.npz: the images have the shape \(1, 5, 5\)"):
        read_images([tmp_path / "d.npz"], grey, split="a")


def sources(folder: Path, mode: str) -> dict[str, Callable[[Classifier], CleanSet]]:
    """The same pictures of three classes from every source."""
    made = folder / mode
    values = {name: 40 * place for place, name in enumerate("abc")}
    for name, value in values.items():
        (made / name).mkdir(parents=True)
        picture(value, mode).save(made / name / "0.png")
    pixels = [np.asarray(picture(value, mode)) for value in values.values()]
    np.savez(folder / f"{mode}.npz", x=np.stack(pixels), y=np.arange(3))
    pairs = [(picture(value, mode), place) for place, value in enumerate(values.values())]
    with tarfile.open(folder / f"{mode}.tar", "w") as archive:
        for place, value in enumerate(values.values()):
            for suffix, data in (("png", encoded(value, mode)), ("cls", b"%d" % place)):
                member = tarfile.TarInfo(f"{place}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return {
        "folder": lambda classifier: read_clean_set(made, classifier=classifier),
        "npz": lambda classifier: read_clean_set(folder / f"{mode}.npz", classifier=classifier),
        "shard": lambda classifier: read_clean_set(folder / f"{mode}.tar", classifier=classifier),
        "iterable": lambda model: CleanSet.from_iterable(pairs).for_classifier(model),
        "floats": lambda model: CleanSet.from_arrays(
            np.stack(pixels).astype(np.float32) / 255, [0, 1, 2]
        ).for_classifier(model),
    }


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("source", ["folder", "npz", "shard", "iterable", "floats"])
def test_one_rule_for_colours_in_every_source(
    tmp_path: Path, make_classifier: Make, mode: str, source: str
) -> None:
    channels, changed = (3, "grey as colour") if mode == "L" else (1, "colour as grey")
    clean = sources(tmp_path, mode)[source](make_classifier((channels, 4, 4)))
    assert clean.images.shape == (3, channels, 4, 4)
    assert clean.reading.changed == {changed: 3}
    wanted = torch.tensor([0, 40, 80]) / 255
    assert torch.allclose(clean.images, wanted[:, None, None, None].expand(3, channels, 4, 4))


def test_colours_of_inputs(tmp_path: Path, make_classifier: Make) -> None:
    np.savez(tmp_path / "d.npz", x=np.full((2, 4, 4), 5, np.uint8))
    picture(7, "RGB").save(tmp_path / "x.png")
    images, _, reading = read_images([tmp_path / "d.npz"], make_classifier((3, 4, 4)))
    assert images.shape == (2, 3, 4, 4)
    assert reading.changed == {"grey as colour": 2}
    images, _, reading = read_images([tmp_path / "x.png"], make_classifier((1, 4, 4)))
    assert images.shape == (1, 1, 4, 4)
    assert reading.changed == {"colour as grey": 1}


def test_memory_is_counted_as_the_model_takes_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((9, 4, 4), np.uint8), y=np.arange(9) % 3)
    index = open_index(tmp_path / "d.npz", None)
    most = 9 * 16 * 4
    assert len(gather(index, Selection(max_memory=most)).labels) == 9
    assert len(gather(index, Selection(max_memory=most, channels=3)).labels) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 1.5, 2.0], "such as 1.5; expected whole numbers"),
        ([0.0, float("nan"), 2.0], "such as nan; expected whole numbers"),
        ([0.0, 1e30, 2.0], "is no class; expected class numbers"),
        (["a", "b", "c"], "give names in an .npz"),
    ],
)
def test_labels_that_are_no_numbers(labels: list[Any], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        CleanSet.from_arrays(np.zeros((3, 4, 4, 3), np.uint8), labels)


def test_labels_of_npz(tmp_path: Path) -> None:
    def read(labels: Any, **more: Any) -> CleanSet:
        x = np.zeros((3, 4, 4, 3), np.uint8)
        np.savez(tmp_path / "d.npz", x=x, y=np.array(labels), **more)
        return read_clean_set(tmp_path / "d.npz")

    assert read([2.0, 0.0, 1.0]).labels.tolist() == [2, 0, 1]
    for names in (["owl", "cat", "dog"], [b"owl", b"cat", b"dog"]):
        clean = read(names)
        assert clean.class_names == ("cat", "dog", "owl")
        assert clean.labels.tolist() == [2, 0, 1]
    assert read(["cat", "", "dog"]).reading.lost == {"no label": 1}
    order = {"classes": np.array(["owl", "dog", "cat"])}
    assert read(["owl", "cat", "dog"], **order).labels.tolist() == [0, 2, 1]
    with pytest.raises(UndoorError, match=r"'bat' of .* not among the classes that it"):
        read(["owl", "bat", "dog"], **order)


@pytest.mark.parametrize(
    ("images", "labels", "named"),
    [
        (np.zeros((4, 3, 8, 8)), torch.zeros(4), "images"),
        (torch.zeros(4, 3, 8, 8), [0, 1, 0, 1], "labels"),
        (None, None, "images"),
    ],
)
def test_what_are_no_tensors_is_refused_at_once(images: object, labels: object, named: str) -> None:
    with pytest.raises(UndoorError, match=f"expected {named} as a torch.Tensor.*from_arrays"):
        CleanSet(images, labels)  # type: ignore[arg-type]


def test_a_remnant_is_called_by_what_it_is_of() -> None:
    lost = Reading(("x: torn",), {"damaged": 2}, lost_of={"a": 2}, tried_of={"a": 4, "b": 2})
    with pytest.raises(UndoorError, match=r"2 of 6 rows could not .* the broken rows yourself"):
        require_readable(lost, "rows")
