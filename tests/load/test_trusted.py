"""Whole pickled modules: opened by word of the user alone, confined, their tensors kept."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from helpers.hostile.pickled import MAKERS, reduced
from undoor.errors import UndoorError
from undoor.load import TrustedPickleWarning, load, trusted
from undoor.load.check import examine
from undoor.load.trusted import open_trusted

# Its module tries what a confined process must not do, when it is unpickled, and tells.
NETS = """
import os, socket, torch
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent

def tried(work):
    try:
        work()
    except OSError:
        return 0.0
    return 1.0

def connect():
    with socket.socket() as s:
        s.settimeout(2)
        s.connect(("127.0.0.1", {port}))

def unix():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(HERE / "sock"))
        s.sendall(b"secret")

class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(x)

class Curious(Net):
    def __setstate__(self, state):
        super().__setstate__(state)
        found = [
            tried(lambda: (HERE / "canary").write_text("x")),
            tried(lambda: (HERE / "canary").mkdir()),
            tried(lambda: (HERE / "nets.py").unlink()),
            tried(connect),
            tried(lambda: os.execv("/bin/true", ["true"])),
            float(os.environ.get("SECRET", 0)),
            tried(unix),
            tried(lambda: (HERE / "nets.py").chmod(0o600)),
            tried(lambda: os.utime(HERE / "nets.py", (1, 1))),
            tried(lambda: os.setxattr(HERE / "nets.py", "user.a", b"1")),
            tried(lambda: os.chown(HERE / "nets.py", os.getuid(), os.getgid())),
            tried(os.fork),
        ]
        self.register_buffer("found", torch.tensor(found))

class Bad(Net):
    def __setstate__(self, state):
        super().__setstate__(state)
        with torch.no_grad():
            self.fc.weight[0, 0] = float("nan")

class Ends(Net):
    def __setstate__(self, state):
        os._exit(0)

class Sleeps(Net):
    def __setstate__(self, state):
        import time
        try:
            os.setsid()
        except OSError:
            pass
        time.sleep(100)

class Fills(Net):
    def __setstate__(self, state):
        import time
        for number in range(40):
            Path(f"{number}").write_bytes(bytes(2**20))
        time.sleep(100)

class Raises(Net):
    def __setstate__(self, state):
        raise SystemExit("no")
"""
WRITE = """
import argparse, pathlib, sys, torch, nets
for name in ("Net", "Curious", "Bad", "Ends", "Raises", "Sleeps", "Fills"):
    torch.manual_seed(0)
    torch.save(getattr(nets, name)(), f"{name}.pt")
torch.manual_seed(0)
beside = argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("a"))
torch.save({"model": nets.Net(), "epoch": 3, "args": beside}, "kept.pt")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("trusted")
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind(str(made / "sock"))
        unix.listen()
        (made / "nets.py").write_text(NETS.replace("{port}", str(listening.getsockname()[1])))
        subprocess.run([sys.executable, "-c", WRITE], cwd=made, check=True)
        yield made


def opened(folder: Path, name: str, into: Path) -> Path:
    file = folder / name
    return open_trusted(file, into, examine(file)).weights


def test_loads_by_word_of_the_user_alone(folder: Path, tmp_path: Path) -> None:
    architecture = f"{folder / 'nets.py'}:Net"
    # Its classes are found beside the architecture.
    moved = tmp_path / "kept.pt"
    moved.write_bytes((folder / "kept.pt").read_bytes())
    with pytest.raises(UndoorError, match=r"whole pickled module.*trust-pickle"):
        load(folder / "Net.pt", architecture=architecture, input_shape=(4,))
    with pytest.warns(
        TrustedPickleWarning, match=r"of the class nets\.Net and was run in a process confined"
    ):
        classifier = load(moved, architecture=architecture, input_shape=(4,), trust_pickle=True)
    torch.manual_seed(0)
    weight = classifier.get_parameter("network.fc.weight")
    assert torch.equal(weight, torch.nn.Linear(4, 3).weight)


@pytest.mark.skipif(sys.platform != "linux", reason="the restrictions are those of Linux")
def test_confined(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    file = folder / "Curious.pt"
    result = open_trusted(file, tmp_path, examine(file))
    tried = load_file(result.weights)["found"].tolist()
    written, made, removed, connected, executed, seen, *denied = tried
    assert seen == 0
    told = " ".join(result.restrictions)
    assert "computing" in told
    assert "memory" in told
    if "Landlock" in told:
        assert (written, made, removed, executed) == (0, 0, 0, 0)
        assert not (folder / "canary").exists()
    if "seccomp" in told:
        # UNIX sockets, modes, times, attributes, owners, processes.
        assert denied == [0, 0, 0, 0, 0, 0]
        assert (folder / "nets.py").stat().st_mtime > 1
    if platform.machine() in ("x86_64", "aarch64"):
        assert "seccomp" in told
    if "no network" in told or "no TCP" in told:
        assert connected == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bad.pt", r"NaN or infinity \(fc.weight\)"),
        ("Ends.pt", "gave no tensors"),
        ("Raises.pt", r"could not be opened .*SystemExit: no"),
    ],
)
def test_what_goes_wrong(folder: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        opened(folder, name, tmp_path)


@pytest.mark.parametrize("bound", ["entries", "room"])
def test_what_is_written_is_bounded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """In all, whatever number of files it is in."""
    if bound == "entries":
        monkeypatch.setattr(trusted, "MAX_ENTRIES", 20)
    else:
        monkeypatch.setattr(trusted, "MAX_WRITTEN", 2**24)
    with pytest.raises(UndoorError, match="wrote more than its weights"):
        opened(folder, "Fills.pt", tmp_path)


def test_installed_packages_come_before_neighbours(folder: Path, tmp_path: Path) -> None:
    for name in ("Net.pt", "nets.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "safetensors.py").write_text("raise SystemExit\n")
    (tmp_path / "into").mkdir()
    assert opened(tmp_path, "Net.pt", tmp_path / "into").is_file()


@pytest.mark.slow
def test_too_slow(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted, "SECONDS", 6)
    monkeypatch.setattr(trusted, "GRACE", 4)
    with pytest.raises(UndoorError, match="not opened within 6 s"):
        opened(folder, "Sleeps.pt", tmp_path)


def test_what_no_module_needs_is_never_opened(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    names = b"ctorch.nn.modules.linear\nLinear\n0"
    for data in (reduced("touch canary"), MAKERS["old_name"]("x"), MAKERS["computed_name"]("x")):
        file.write_bytes(data[:2] + names + data[2:])
        with pytest.raises(UndoorError, match="refused even where pickles are trusted"):
            open_trusted(file, tmp_path, examine(file))
        file.write_bytes(data)
        with pytest.raises(UndoorError, match="would run code"):
            open_trusted(file, tmp_path, examine(file))


def test_plain_checkpoints_are_read_as_ever(tmp_path: Path, folder: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 4), "fc.bias": torch.zeros(3)}, tmp_path / "w.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = load(
            tmp_path / "w.pt",
            architecture=f"{folder / 'nets.py'}:Net",
            input_shape=(4,),
            trust_pickle=True,
        )
    assert classifier.num_classes == 3


def test_no_file_can_ask_for_it(tmp_path: Path, folder: Path) -> None:
    toml = tmp_path / "model.toml"
    weights = json.dumps(str(folder / "Net.pt"))
    toml.write_text(
        f'[model]\nweights = {weights}\narchitecture = "a.py:b"\ntrust_pickle = true\n'
        "[input]\nshape = [4]\n"
    )
    with pytest.raises(UndoorError, match="unknown key 'trust_pickle'"):
        load(toml)


def test_a_folder_that_hides_what_is_in_it_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert trusted._fits(tmp_path, 10**6)
    scandir = os.scandir

    def listing(error: type[OSError]) -> Callable[[Any], Any]:
        def found(path: Any) -> Any:
            if str(path).endswith("b"):
                raise error(str(path))
            return scandir(path)

        return found

    monkeypatch.setattr(os, "scandir", listing(PermissionError))
    assert not trusted._fits(tmp_path, 10**6)
    # It is gone meanwhile.
    monkeypatch.setattr(os, "scandir", listing(FileNotFoundError))
    assert trusted._fits(tmp_path, 10**6)
