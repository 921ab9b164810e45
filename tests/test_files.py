"""Files that are whole or not there."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
import torch

import undoor
from helpers.tiny import toy_classifier
from undoor.clean_set import read_clean_set, read_images
from undoor.errors import UndoorError
from undoor.files import other_spelling, walk, write_atomically


def test_writes_and_makes_folders(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "out.txt"
    write_atomically(file, lambda path: path.write_text("whole"))
    assert file.read_text() == "whole"
    assert list(file.parent.iterdir()) == [file]


def test_replaces(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    file.write_text("old and longer")
    write_atomically(file, lambda path: path.write_text("new"))
    assert file.read_text() == "new"


def test_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    file.write_text("old")
    seen = []

    def write(path: Path) -> None:
        path.write_text("new")
        seen.append((path.parent, path != file, file.read_text()))

    write_atomically(file, write)
    # In the same folder, since a rename is atomic only within one file system.
    assert seen == [(tmp_path, True, "old")]
    assert file.read_text() == "new"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("exists", [True, False])
def test_failure_leaves_nothing_behind(tmp_path: Path, error: BaseException, exists: bool) -> None:
    file = tmp_path / "out.txt"
    if exists:
        file.write_text("old")

    def write(path: Path) -> None:
        path.write_text("half")
        raise error

    with pytest.raises(type(error)):
        write_atomically(file, write)
    assert [path.read_text() for path in tmp_path.iterdir()] == (["old"] if exists else [])


def test_readable_by_others(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    write_atomically(file, lambda path: path.write_text("x"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold anything."""
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    assert sorted(next(walk(tmp_path))[1]) == ["closed", "open"]
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="closed"):
        list(walk(tmp_path))


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("~/models", "home folder"),
        ("~user/models", "home folder"),
        ("models/~/a.pt", "home folder"),
        ("C:\\Users\\me", "Windows"),
        ("D:/models", "Windows"),
        ("models\\a.pt", "Windows"),
        ("models/a~.pt", ""),
        ("a:b/c", ""),
    ],
)
def test_spelt_for_a_shell_or_another_system(path: str, hint: str) -> None:
    found = other_spelling(Path(path))
    assert hint in found
    assert bool(found) == bool(hint)


@pytest.mark.parametrize("path", ["~/m", "C:\\m"])
def test_every_command_says_how_a_path_is_spelt(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    classifier = toy_classifier(backdoored=False)
    for read in (
        lambda: undoor.load(path),
        lambda: undoor.load("w.pt", architecture=f"{path}/net.py:Net", input_shape=(3, 4, 4)),
        lambda: undoor.Repair.load(path),
        lambda: read_clean_set(path),
        lambda: read_images([path], classifier),
    ):
        torch.save({"w": torch.ones(1)}, "w.pt")
        with pytest.raises(UndoorError, match=r"home folder|spelt as on Windows"):
            read()
    (file,) = undoor.inspect(path).files
    assert re.search(r"home folder|spelt as on Windows", file.problems[0])
