"""What counts as installed, as Python's own, and as lying around."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from undoor.load.installed import (
    import_installed,
    is_installed,
    is_standard,
    is_standard_file,
    loose_places,
    without_places,
)


@pytest.fixture
def loose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that is on the path, with modules in it."""
    (tmp_path / "undoor_test_loose.py").write_text("")
    (tmp_path / "undoor_test_bare").mkdir()
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "undoor_test_named_so.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    return tmp_path


def test_pythons_own() -> None:
    assert all(is_standard(name) for name in ("os", "os.path", "builtins", "posix", "__main__"))
    assert not is_standard("osmosis")
    assert is_standard_file(Path(os.__file__))
    assert is_standard_file(Path("/usr/lib/python3.12/subprocess.py"))
    assert not is_standard_file(Path(sysconfig.get_path("purelib")) / "torch" / "hub.py")
    assert not is_standard_file(Path("models/os.py"))


def test_installed(loose: Path) -> None:
    assert all(is_installed(name) for name in ("torch", "scipy", "undoor", "sys"))
    assert not is_installed("undoor_test_loose")
    assert not is_installed("undoor_test_bare")
    assert not is_installed("undoor_test_nowhere")
    assert loose.resolve() in loose_places()


def test_a_folder_is_not_installed_by_its_name(
    loose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(loose / "site-packages")
    assert not is_installed("undoor_test_named_so")


def test_a_working_directory_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sysconfig.get_path("purelib"))
    assert is_installed("torch", [*loose_places(), Path.cwd()])


def test_import_without_what_lies_around(loose: Path) -> None:
    before = list(sys.path)
    with pytest.raises(ModuleNotFoundError):
        import_installed("undoor_test_loose", loose)
    with without_places([loose]):
        assert "" not in sys.path
    assert sys.path == before
