"""Which models paths, patterns and folders stand for, and what they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from undoor.errors import UndoorError
from undoor.fleet.sources import distinct, find_models


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.toml").touch()
    return folder


def found(folder: Path, *arguments: object) -> list[str]:
    items = find_models([str(argument) for argument in arguments], folder / "downloads")
    return [os.path.relpath(item.path, folder) for item in items]


def named(folder: Path, *arguments: object) -> list[str]:
    items = find_models([str(argument) for argument in arguments], folder / "downloads")
    return distinct([item.parts for item in items])


def test_paths_folders_and_patterns(tmp_path: Path) -> None:
    model(tmp_path / "zoo" / "b")
    model(tmp_path / "zoo" / "a")
    (tmp_path / "zoo" / "deep").mkdir()
    (tmp_path / "zoo" / "deep" / "c.onnx").touch()
    (tmp_path / "zoo" / "notes.txt").touch()
    every = ["zoo/a", "zoo/b", "zoo/deep/c.onnx"]
    assert sorted(found(tmp_path, tmp_path / "zoo")) == every
    assert sorted(found(tmp_path, tmp_path / "zoo" / "*")) == every
    assert found(tmp_path, tmp_path / "zoo" / "a") == ["zoo/a"]
    assert found(tmp_path, tmp_path / "zoo" / "a" / "model.toml") == ["zoo/a/model.toml"]
    assert found(tmp_path, tmp_path / "zoo" / "notes.txt") == ["zoo/notes.txt"]
    assert sorted(named(tmp_path, tmp_path / "zoo")) == ["a", "b", "c.onnx"]


def test_what_is_inside_a_model_is_part_of_it(tmp_path: Path) -> None:
    folder = model(tmp_path / "zoo" / "a")
    (folder / "weights.safetensors").touch()
    model(folder / "inner")
    assert found(tmp_path, tmp_path / "zoo") == ["zoo/a"]


def test_each_once_however_it_is_reached(tmp_path: Path) -> None:
    model(tmp_path / "zoo" / "a")
    (tmp_path / "zoo" / "z-link").symlink_to(tmp_path / "zoo" / "a")
    assert found(tmp_path, tmp_path / "zoo" / "a", tmp_path / "zoo", tmp_path / "*/a") == ["zoo/a"]


def test_links_in_circles_end(tmp_path: Path) -> None:
    model(tmp_path / "zoo" / "a")
    (tmp_path / "zoo" / "up").symlink_to(tmp_path / "zoo")
    (tmp_path / "zoo" / "broken.onnx").symlink_to(tmp_path / "nowhere")
    assert sorted(found(tmp_path, tmp_path / "zoo")) == ["zoo/a", "zoo/broken.onnx"]


def test_two_of_one_name(tmp_path: Path) -> None:
    model(tmp_path / "zoo" / "a")
    model(tmp_path / "old" / "a")
    model(tmp_path / "old" / "b")
    assert named(tmp_path, tmp_path / "zoo", tmp_path / "old") == ["zoo/a", "old/a", "b"]


def test_names_that_are_the_same_to_the_end() -> None:
    assert distinct([("a",), ("a",), ("a (2)",)]) == ["a", "a (2)", "a (2) (2)"]
    assert distinct([("a",), ("x", "b")], taken=["a", "b"]) == ["a (2)", "x/b"]


def test_the_cache_of_hugging_face(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    snapshot = hub / "models--org--net" / "snapshots" / "3fa9"
    blob = hub / "models--org--net" / "blobs" / "deadbeef.bin"
    snapshot.mkdir(parents=True)
    blob.parent.mkdir()
    blob.touch()
    (snapshot / "config.json").symlink_to(blob)
    assert found(tmp_path, hub) == ["hub/models--org--net/snapshots/3fa9"]
    (item,) = find_models([str(hub)], tmp_path)
    assert item.parts[-2:] == ("org/net", "3fa9")


def test_what_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for argument, message in [
        (tmp_path / "nowhere.pt", "does not exist"),
        (tmp_path / "empty", "leads to no model"),
        (tmp_path / "*.pt", "leads to no model"),
    ]:
        with pytest.raises(UndoorError, match=message):
            find_models([str(argument)], tmp_path)
    assert find_models([str(tmp_path / "empty")], tmp_path, may_be_empty=True) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    closed = tmp_path / "zoo" / "closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    try:
        with pytest.raises(UndoorError, match="permission denied"):
            find_models([str(tmp_path / "zoo")], tmp_path)
    finally:
        closed.chmod(0o755)
