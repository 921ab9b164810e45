"""What loaders of hub models share."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import huggingface_hub.constants
import pytest

from undoor.errors import UndoorError
from undoor.load.hub import (
    LARGEST_TEXT,
    config_says,
    from_library,
    offline,
    read_json,
    require_unmarked,
)


@pytest.mark.parametrize("given", [None, "0", "1"])
def test_offline_is_undone(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    if given is not None:
        monkeypatch.setenv("HF_HUB_OFFLINE", given)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", given == "1")
    seen: list[object] = []

    def fail() -> None:
        seen.extend((os.environ["HF_HUB_OFFLINE"], huggingface_hub.constants.is_offline_mode()))
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), offline("timm"):
        fail()
    assert seen == ["1", True]
    assert os.environ.get("HF_HUB_OFFLINE") == given
    assert huggingface_hub.constants.is_offline_mode() == (given == "1")


def test_library_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('no operator nms\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UndoorError, match=r"broken_one is installed but gives no x here \(no oper"):
        from_library("broken_one", "x", extra="timm")
    with pytest.raises(UndoorError, match=r"needs not_there_at_all; .*pip install '\.\[timm\]'"):
        from_library("not_there_at_all", "x", extra="timm")
    assert "broken_one" not in sys.modules


def test_json(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    with pytest.raises(UndoorError, match="does not exist"):
        read_json(file)
    for text, why in (
        ("", "empty file"), ("{", "not readable JSON"), ("\x00", "no text"),
        ("[" * 100_000, "not readable JSON"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(UndoorError, match=why):
            read_json(file)
    for data, why in ((b"\xff\xfe{}", "UTF-16"), (b'{"a": "\xe9"}', "not in UTF-8")):
        file.write_bytes(data)
        with pytest.raises(UndoorError, match=why):
            read_json(file)
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(file) == {"a": 1}
    with file.open("wb") as stream:
        stream.truncate(LARGEST_TEXT + 1)
    with pytest.raises(UndoorError, match="expected a small JSON file"):
        read_json(file)


def test_config_says(tmp_path: Path) -> None:
    assert not config_says(tmp_path, "a")
    assert not config_says(tmp_path / "nowhere", "a")
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert config_says(tmp_path, "a")
    assert config_says(tmp_path / "config.json", "a")
    assert not config_says(tmp_path, "b")
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(UndoorError, match="UTF-16"):
        config_says(tmp_path, "a")
    (tmp_path / "model.toml").touch()
    assert not config_says(tmp_path, "a")


def test_marks_that_libraries_do_not_read(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    require_unmarked(file)
    file.write_bytes(b"{}")
    require_unmarked(file)
    file.write_bytes(b"\xef\xbb\xbf{}")
    with pytest.raises(UndoorError, match="byte-order mark"):
        require_unmarked(file)


def test_no_library_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library_of_nobody.py").write_text("open('canary', 'w').close()\nx = 1")
    monkeypatch.chdir(tmp_path)
    for entry in ("", str(tmp_path)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [entry, *sys.path])
            with pytest.raises(UndoorError, match="needs library_of_nobody"):
                from_library("library_of_nobody", "x", extra="timm")
    assert not (tmp_path / "canary").exists()


def test_nor_of_one_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installed library imports, at once or later, is not taken from there either."""
    site, here = tmp_path / "site", tmp_path / "here"
    site.mkdir()
    here.mkdir()
    (site / "library_of_somebody.py").write_text(
        "try:\n    import neighbour_of_nobody\nexcept ImportError:\n    x = 1"
    )
    (here / "neighbour_of_nobody.py").write_text("open('canary', 'w').close()")
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", ["", str(here), *sys.path, str(site)])
    before = list(sys.path)
    assert from_library("library_of_somebody", "x", extra="timm") == (1,)
    with offline("timm"), pytest.raises(ImportError):
        import_module("neighbour_of_nobody")
    assert not (here / "canary").exists()
    assert sys.path == before
    del sys.modules["library_of_somebody"]
