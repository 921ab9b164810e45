"""Settings, paths and NumPy values beside the weights: opened without being made."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import pathlib
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers.hostile.pickled import text
from undoor.errors import UndoorError
from undoor.load.beside import is_beside, stand_ins
from undoor.load.check import examine
from undoor.load.weights import read_state_dict

STATE = {"fc.weight": torch.arange(6.0).reshape(3, 2), "fc.bias": torch.zeros(3)}


def library(monkeypatch: pytest.MonkeyPatch, name: str, kind: str, base: type = dict) -> Any:
    """A class of a library that need not be installed to open what it left."""
    made = type(kind, (base,), {"__module__": name})
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        parent = ".".join(parts[:end])
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    setattr(sys.modules[name], kind, made)
    return made


BESIDE: dict[str, Callable[[], object]] = {
    "NumPy array": lambda: np.arange(6.0).reshape(2, 3),
    "NumPy array in Fortran's order": lambda: np.asfortranarray(np.ones((2, 3), "uint8")),
    "empty NumPy array": lambda: np.zeros((0, 3)),
    "NumPy number": lambda: np.float64(0.93),
    "NumPy truth value": lambda: np.bool_(True),
    "NumPy text": lambda: np.array(["cat", "parrot"]),
    "NumPy times": lambda: np.array(["2026-01-01"], "datetime64[D]"),
    "NumPy type": lambda: np.dtype("float32"),
    "class of NumPy numbers": lambda: np.float32,
    "state of a random generator": lambda: np.random.RandomState(0).get_state(),
    "Namespace": lambda: argparse.Namespace(lr=0.1, path=pathlib.Path("a/b")),
    "SimpleNamespace": lambda: types.SimpleNamespace(lr=0.1),
    "path": lambda: pathlib.PurePosixPath("/data/x"),
    "path of Windows": lambda: pathlib.PureWindowsPath("C:/x"),
    "defaultdict": lambda: collections.defaultdict(list, {"loss": [np.float32(1)]}),
    "deque": lambda: collections.deque([1, 2], maxlen=3),
    "time": lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "exact number": lambda: {"loss": decimal.Decimal("0.125"), "share": fractions.Fraction(1, 3)},
    "bytes": lambda: b"",
    "optimizer": lambda: torch.optim.SGD([nn.Parameter(torch.ones(2))], 0.1),
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("new", [True, False])
def test_is_let_go(tmp_path: Path, name: str, new: bool) -> None:
    content = {"model": STATE, "beside": BESIDE[name](), "again": [BESIDE[name]()], "epoch": 3}
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=new)
    assert examine(tmp_path / "w.pt").breaches == ()
    before = set(torch.serialization.get_safe_globals())
    read = read_state_dict(tmp_path / "w.pt")
    assert read.keys() == STATE.keys()
    assert torch.equal(read["fc.weight"], STATE["fc.weight"])
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("easydict", "EasyDict"),
        ("yacs.config", "CfgNode"),
        ("pytorch_lightning.utilities.parsing", "AttributeDict"),
        ("omegaconf.dictconfig", "DictConfig"),
    ],
)
def test_settings_of_libraries_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, kind: str
) -> None:
    made = library(monkeypatch, module, kind, object if kind == "DictConfig" else dict)()
    if isinstance(made, dict):
        made["lr"] = 0.1
    # A state that would hide the weights, were it set.
    vars(made).update(get="x", keys=None)
    torch.save({"cfg": made, "state_dict": STATE}, tmp_path / "w.pt")
    if isinstance(made, dict):
        made["state_dict"] = STATE
        torch.save(made, tmp_path / "inside.pt")
    monkeypatch.undo()
    for file in tmp_path.iterdir():
        assert read_state_dict(file).keys() == STATE.keys()


@pytest.mark.parametrize(
    ("beside", "why"),
    [
        (lambda: np.array([print], dtype=object), "makes a NumPy type of 'O8'"),
        (lambda: np.array([{"a": 1}]), "makes a NumPy type of 'O8'"),
        (lambda: np.zeros(2, [("a", "O")]), "makes a NumPy type of 'V8'"),
    ],
)
def test_arrays_of_objects_are_refused(
    tmp_path: Path, beside: Callable[[], object], why: str
) -> None:
    torch.save({"model": STATE, "beside": beside()}, tmp_path / "w.pt")
    assert any(why in breach.why for breach in examine(tmp_path / "w.pt").breaches)
    with pytest.raises(UndoorError):
        read_state_dict(tmp_path / "w.pt")


DTYPE = b"cnumpy\ndtype\n" + text("f8") + b"\x89\x88\x87R"
CORE = b"cnumpy._core.multiarray\n"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        # 2**62 numbers, taken at once by the real function.
        (
            CORE + b"_reconstruct\ncnumpy\nndarray\n\x8a\x08" + b"\0" * 7 + b"\x40\x85" + text("b")
            + b"\x87R",
            "not empty before it is filled",
        ),
        (
            CORE + b"_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
            b"(K\x01J\xff\xff\xff\x0f\x85" + DTYPE + b"\x89" + text("abc") + b"tb",
            "numbers from 0 stored bytes",
        ),
        (b"cargparse\nNamespace\n}" + text("x") + b"K\x01sb", "state of the global argparse"),
        (b"cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x01\x85R", "which the file does not hold"),
        (b"cnumpy\nload\n" + text("x") + b"\x85R", "it is not part of a state dict"),
        (b"cpathlib\nos.system\n" + text("true") + b"\x85R", "it is not part of a state dict"),
        (b"ctorch.optim\nsgd.torch.load\n" + text("x") + b"\x85R", "it is not part"),
        (b"ccollections\nOrderedDict\n)\x81", "without being called"),
        (DTYPE + b"(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\x7fK\x00K\x00tb", "of another size"),
    ],
)  # fmt: skip
def test_what_the_real_ones_could_be_made_to_do(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "w.pt").write_bytes(b"\x80\x02" + data + b".")
    whys = [f"{breach.name} {breach.why}" for breach in examine(tmp_path / "w.pt").breaches]
    assert any(why in each for each in whys), whys


def test_nothing_real_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"m": STATE, "a": argparse.Namespace(b=1), "c": np.ones(3)}, tmp_path / "w.pt")

    def never(*given: object) -> None:
        raise AssertionError("called")

    monkeypatch.setattr(argparse.Namespace, "__setstate__", never, raising=False)
    monkeypatch.setattr(argparse, "Namespace", never)
    assert read_state_dict(tmp_path / "w.pt").keys() == STATE.keys()


def test_stand_ins_take_anything() -> None:
    names = ["argparse.Namespace", "__builtin__.bytes", "os.system", "torch.Size"]
    made = stand_ins(names)
    pairs = [item for item in made if isinstance(item, tuple)]
    assert pairs == made
    assert {name for _, name in pairs} == {"argparse.Namespace", "__builtin__.bytes",
                                          "builtins.bytes"}  # fmt: skip
    for kind, _ in pairs:
        assert pickle.dumps(kind)
        assert not vars(kind(1, 2))
    assert is_beside("pathlib._local.PosixPath")
    assert not is_beside("torch.optim.swa_utils.AveragedModel")
    assert not is_beside("omegaconf.dictconfig.os.system")
