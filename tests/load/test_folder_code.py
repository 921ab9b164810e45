"""A folder's modules: under private names, from source, behind what is installed."""

from __future__ import annotations

import copy
import hashlib
import pickle
import py_compile
import sys
from pathlib import Path

import pytest
import torch

from undoor.errors import UndoorError
from undoor.load import load
from undoor.load.architecture import build
from undoor.load.folder_code import MAX_SOURCE, PREFIX, FolderCode, read_source

NET = """
from torch import nn
from blocks import BIAS
import parts.inner as inner
from parts import *

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
    def forward(self, x):
        from late import LATE
        return self.fc(x) + BIAS + LATE + inner.INNER
"""


def write(folder: Path, bias: float) -> Path:
    """A network with neighbours, a package, and a module that is imported in the first pass."""
    (folder / "parts").mkdir(parents=True)
    (folder / "net.py").write_text(NET)
    (folder / "blocks.py").write_text(f"BIAS = {bias}\n")
    (folder / "late.py").write_text(f"LATE = {bias}\n")
    (folder / "parts" / "__init__.py").write_text("from .inner import INNER\n")
    (folder / "parts" / "inner.py").write_text("from .deeper.deep import DEEP as INNER\n")
    (folder / "parts" / "deeper").mkdir()
    (folder / "parts" / "deeper" / "deep.py").write_text(f"DEEP = {bias}\n")
    return folder / "net.py"


def test_each_folder_gets_its_own_code(tmp_path: Path) -> None:
    path = list(sys.path)
    files = [write(tmp_path / name, bias) for name, bias in (("a", 1.0), ("b", 10.0))]
    networks = [build(f"{file}:Net", {}, tmp_path).network for file in files]
    x = torch.zeros(1, 3)
    # The late import comes first for the second folder, last for the first.
    for network, bias in reversed(list(zip(networks, (1.0, 10.0), strict=True))):
        torch.testing.assert_close(network(x), network.get_submodule("fc")(x) + 3 * bias)
        for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            assert torch.equal(other(x), network(x))
    assert not {"net", "blocks", "late", "parts", "parts.inner"} & set(sys.modules)
    assert {type(network).__module__.startswith(PREFIX) for network in networks} == {True}
    assert sys.path == path
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_model_says_what_ran(tmp_path: Path) -> None:
    file = write(tmp_path, 1.0)
    (tmp_path / "other.py").write_text("raise ValueError\n")
    torch.save({"fc.weight": torch.zeros(2, 3), "fc.bias": torch.zeros(2)}, tmp_path / "w.pt")
    code = load(tmp_path / "w.pt", architecture=f"{file}:Net", input_shape=(3,)).origin.code
    names = ["net.py", "blocks.py", "__init__.py", "inner.py", "deep.py", "late.py"]
    assert [Path(item.path).name for item in code] == names
    for item in code:
        assert item.sha256 == hashlib.sha256(Path(item.path).read_bytes()).hexdigest()


def test_compiled_files_are_never_run(tmp_path: Path) -> None:
    """Not those of __pycache__, whatever they claim to be compiled from, nor any without source."""
    file = write(tmp_path, 1.0)
    hostile = tmp_path / "hostile.py"
    hostile.write_text("raise ValueError('compiled')\n")
    for source in (file, tmp_path / "blocks.py"):
        py_compile.compile(
            str(hostile),
            cfile=str(
                tmp_path / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
            ),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    (tmp_path / "late.py").unlink()
    py_compile.compile(str(hostile), cfile=str(tmp_path / "late.pyc"))
    network = build(f"{file}:Net", {}, tmp_path).network
    with pytest.raises(ModuleNotFoundError, match="No module named 'late'"):
        network(torch.zeros(1, 3))


def test_code_that_changes_sys_path(tmp_path: Path) -> None:
    """It gets what it asks for, privately; the path is as before, and the file is recorded."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "undoor_test_far.py").write_text("from torch.nn import Linear as Net\n")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.py").write_text(
        "import sys\nsys.path.insert(0, '../lib')\nsys.path.insert(0, "
        f"{str(tmp_path / 'lib')!r})\nfrom undoor_test_far import Net\n"
    )
    path = list(sys.path)
    built = build(f"{folder / 'net.py'}:Net", {"in_features": 3, "out_features": 2}, folder)
    assert sys.path == path
    assert [Path(file.path).name for file in built.files] == ["net.py", "undoor_test_far.py"]
    assert "undoor_test_far" not in sys.modules


def test_only_expected_files_run(tmp_path: Path) -> None:
    file = write(tmp_path, 1.0)
    expected = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.rglob("*.py")
    }
    build(f"{file}:Net", {}, tmp_path, expected=expected)
    canary = tmp_path / "canary"
    (tmp_path / "blocks.py").write_text(f"BIAS = 1.0\nopen({str(canary)!r}, 'w')\n")
    with pytest.raises(UndoorError, match=r"blocks.py is not among the files that are trusted"):
        build(f"{file}:Net", {}, tmp_path, expected=expected)
    assert not canary.exists()


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "inner.py").write_text("INNER = 1\n")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "parts").symlink_to(tmp_path / "elsewhere")
    assert not FolderCode(folder).has("parts")


def test_sources(tmp_path: Path) -> None:
    empty, large = tmp_path / "a.py", tmp_path / "b.py"
    empty.write_bytes(b"")
    large.write_bytes(b"#" * (MAX_SOURCE + 1))
    assert read_source(empty) == b""
    with pytest.raises(UndoorError, match="larger than 4 MiB; expected Python source"):
        read_source(large)
