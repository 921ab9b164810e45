"""Data of another space than the model's: one line that names the space they look like."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from helpers.tiny_texts import tiny_classifier
from undoor.classifier import Classifier
from undoor.clean_set import read_clean_set, read_images
from undoor.clean_set.looks import looks_like
from undoor.errors import UndoorError
from undoor.spaces.columns import Column
from undoor.spaces.registry import space_named

SIDE = 8


def flat(inputs: int, **options: object) -> Classifier:
    return Classifier(nn.Sequential(nn.Flatten(), nn.Linear(inputs, 2)), **options)  # type: ignore[arg-type]


MODELS: dict[str, Callable[[], Classifier]] = {
    "images": lambda: flat(3 * SIDE * SIDE, input_shape=(3, SIDE, SIDE)),
    "signals": lambda: flat(64, input_shape=(1, 64)),
    "rows": lambda: flat(
        2,
        input_shape=(2,),
        columns=(Column("age", range=(0, 90)), Column("hours", range=(0, 99))),
    ),
    "tokens": tiny_classifier,
}


def image_folder(path: Path) -> Path:
    for label in ("0", "1"):
        (path / label).mkdir(parents=True)
        Image.new("RGB", (SIDE, SIDE)).save(path / label / "a.png")
    (path / "labels.csv").write_text("age,hours,label\n1,2,0\n")
    return path


def recordings(path: Path) -> Path:
    for label in ("0", "1"):
        (path / label).mkdir(parents=True)
        with wave.open(str(path / label / "a.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(128))
    return path


def archive(path: Path, *shape: int) -> Path:
    file = path.with_suffix(".npz")
    np.savez(file, x=np.zeros((4, *shape), np.float32), y=np.array([0, 1, 0, 1]))
    return file


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


DATA: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a folder of images": ("images", lambda f: image_folder(f / "pictures")),
    "grey images": ("images", lambda f: archive(f / "grey", 28, 28)),
    "images": ("images", lambda f: archive(f / "colour", 28, 28, 3)),
    "a folder of recordings": ("signals", lambda f: recordings(f / "spoken")),
    "signals": ("signals", lambda f: archive(f / "series", 1, 500)),
    "a table": ("rows", lambda f: written(f / "t.csv", "age,hours,label\n3,4,yes or no\n")),
    "texts": ("tokens", lambda f: written(f / "t.csv", "text,label\na bad film,0\na film,1\n")),
    "unnamed": ("tokens", lambda f: written(f / "t.csv", "said,label\nhow bad was it,0\n")),
    "lines": ("tokens", lambda f: written(f / "t.jsonl", '{"text": "a film", "label": 0}\n')),
}


@pytest.mark.parametrize("data", DATA)
def test_data_look_like_their_space(data: str, tmp_path: Path) -> None:
    name, make = DATA[data]
    found = looks_like(make(tmp_path))
    assert found is not None
    assert found[0].name == name


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("data", DATA)
def test_one_line_names_the_space(model: str, data: str, tmp_path: Path) -> None:
    name, make = DATA[data]
    if name == model:
        return
    classifier, path = MODELS[model](), make(tmp_path)
    for read in (
        lambda: read_clean_set(path, classifier=classifier),
        lambda: read_images([path], classifier),
    ):
        with pytest.raises(UndoorError) as caught:
            read()
        message = str(caught.value)
        assert "\n" not in message
        assert f"looks like {space_named(name).noun.many} (" in message
        assert f"the model takes {classifier.space.noun.many} of " in message
        assert "; give " in message


def test_an_error_about_data_of_the_same_space_stays(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="resize them as for the training"):
        read_clean_set(archive(tmp_path / "large", 28, 28, 3), classifier=MODELS["images"]())
    with pytest.raises(UndoorError, match="has no column 'age'"):
        read_clean_set(
            written(tmp_path / "t.csv", "a,b,label\n1,2,0\n"), classifier=MODELS["rows"]()
        )


def test_vectors_may_look_like_anything(tmp_path: Path) -> None:
    vectors = flat(9, input_shape=(9,))
    with pytest.raises(UndoorError) as caught:
        read_clean_set(archive(tmp_path / "images", 28, 28, 3), classifier=vectors)
    assert "looks like" not in str(caught.value)


def test_what_cannot_be_read_looks_like_nothing(tmp_path: Path) -> None:
    assert looks_like(tmp_path / "nowhere.npz") is None
    assert looks_like(written(tmp_path / "broken.npz", "no archive")) is None
    assert looks_like(written(tmp_path / "odd.csv", "a,b\n1\n")) is None
