"""Hostile checkpoints: named, refused, and never run."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from undoor.errors import UndoorError
from undoor.load.check import examine, require_safe, unsafe_globals
from undoor.load.weights import read_state_dict


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.evidence}",)


def write_zip(file: Path, content: object) -> None:
    torch.save(content, file)


def write_legacy(file: Path, content: object) -> None:
    torch.save(content, file, _use_new_zipfile_serialization=False)


def write_plain(file: Path, content: object, protocol: int = 4) -> None:
    file.write_bytes(pickle.dumps(content, protocol))


@pytest.mark.parametrize("write", [write_zip, write_legacy, write_plain])
def test_malicious_pickle_is_named_and_not_run(tmp_path: Path, write: Any) -> None:
    file, evidence = tmp_path / "model.pt", tmp_path / "ran"
    write(file, {"fc.weight": torch.zeros(2), "payload": Bomb(evidence)})
    with pytest.raises(UndoorError, match=r"would run code .*(posix|nt)\.system.*safetensors"):
        read_state_dict(file)
    assert not evidence.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(tmp_path: Path, protocol: int) -> None:
    file, evidence = tmp_path / "model.pt", tmp_path / "ran"
    write_plain(file, [Bomb(evidence)], protocol)
    assert any(name.endswith(".system") for name in unsafe_globals(file))
    assert not evidence.exists()


# Bytecode by hand: each calls os.system in a way that plain string matching would miss.
MEMOISED = (
    b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x94\x8c\x04true\x94\x85\x94R\x94."
)
COMPUTED = (
    b"\x80\x04c_codecs\nencode\n\x8c\x02os\x8c\x04utf8\x86R\x8c\x06system\x93\x8c\x04true\x85R."
)
INSTANCE = b"(S'true'\nios\nsystem\n."
EXTENSION = b"\x80\x02\x82\x01."


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (MEMOISED, "os.system"),
        (COMPUTED, "a name computed while unpickling"),
        (INSTANCE, "os.system"),
        (EXTENSION, "copyreg extension 1"),
    ],
)
def test_roundabout_opcodes(tmp_path: Path, code: bytes, name: str) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(code)
    assert unsafe_globals(file) == [name]


def test_second_pickle_in_an_archive(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    write_zip(file, {"w": torch.zeros(2)})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("model/extra.pkl", pickle.dumps(eval))
    with pytest.raises(UndoorError, match=r"builtins\.eval"):
        require_safe(file)


def test_whole_module(tmp_path: Path) -> None:
    write_zip(tmp_path / "model.pt", nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(UndoorError, match=r"whole pickled module.*save model.state_dict\(\)"):
        read_state_dict(tmp_path / "model.pt")


def test_offenders_come_before_torch_and_are_shortened(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Flatten(), nn.Conv2d(1, 1, 1))
    write_zip(tmp_path / "model.pt", {"model": net, "x": Bomb(tmp_path / "ran")})
    with pytest.raises(UndoorError, match=r"system, torch\.nn\..* and \d+ more"):
        require_safe(tmp_path / "model.pt")


def test_torchscript_and_other_archives(tmp_path: Path) -> None:
    for name, message in (
        ("m/code/net.py", "TorchScript"),
        ("m/code/__torch__/native.so", "no part of a script"),
        ("m/readme.txt", "without data.pkl"),
    ):
        file = tmp_path / "model.pt"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, "")
        with pytest.raises(UndoorError, match=message):
            require_safe(file)


def test_harmless_checkpoints_pass(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 2).half(), nn.BatchNorm1d(2), nn.Linear(2, 2).bfloat16())
    extra = {"epoch": 3, "device": torch.device("cpu"), "size": torch.Size([2]), "t": torch.int64}
    content = {"state_dict": net.state_dict(), "params": list(net.parameters()), **extra}
    for write in (write_zip, write_legacy):
        write(tmp_path / "model.pt", content)
        assert unsafe_globals(tmp_path / "model.pt") == []
        assert len(read_state_dict(tmp_path / "model.pt")) == len(net.state_dict())


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_truncated(tmp_path: Path, write: Any) -> None:
    file = tmp_path / "model.pt"
    write(file, {"w": torch.zeros(1000)})
    data = file.read_bytes()
    for share in (0.02, 0.5, 0.95):
        file.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UndoorError, match=r"truncated|cannot be opened"):
            read_state_dict(file)


@given(data=st.binary(max_size=200))
def test_noise_is_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "noise.pt"
    file.write_bytes(data)
    with pytest.raises(UndoorError):
        read_state_dict(file)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_what_is_not_known_to_run_code_may(tmp_path: Path) -> None:
    nested = torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])
    torch.save({"m": torch.ones(1), "s": nested}, tmp_path / "w.pt")
    with pytest.raises(UndoorError, match=r"may run code .*_rebuild_nested_tensor"):
        read_state_dict(tmp_path / "w.pt")


def test_the_way_out_that_is_offered_leads_out(tmp_path: Path) -> None:
    """A module beside settings is opened by word of the user; beside a call of eval it is not."""
    settings = argparse.Namespace(lr=0.1)
    torch.save({"model": torch.nn.Linear(2, 2), "args": settings}, tmp_path / "w.pt")
    with pytest.raises(
        UndoorError, match=r"whole pickled module.*give --trust-pickle \(trust_pickle=True\)$"
    ):
        read_state_dict(tmp_path / "w.pt")
    torch.save({"model": torch.nn.Linear(2, 2), "f": eval}, tmp_path / "w.pt")
    with pytest.raises(UndoorError, match=r"also names .*eval, which --trust-pickle refuses$"):
        read_state_dict(tmp_path / "w.pt")


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_another_protocol_is_unreadable_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    state = {"w": torch.ones(1), "b": b"1234"}
    torch.save(state, tmp_path / "w.pt", pickle_protocol=protocol)
    safety = examine(tmp_path / "w.pt")
    assert safety.inert
    assert not safety.unsafe
    why = r"not readable as plain weights.*nothing in it would run\. Convert it.*torch\.save"
    with pytest.raises(UndoorError, match=why) as caught:
        require_safe(tmp_path / "w.pt")
    assert "would run code" not in str(caught.value)


def test_what_runs_in_another_protocol_is_unsafe(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    for content in (Runs(), [1, {"a": Runs()}]):
        (tmp_path / "w.pt").write_bytes(pickle.dumps(content, protocol=4))
        assert not examine(tmp_path / "w.pt").inert
        with pytest.raises(UndoorError, match="would run code"):
            require_safe(tmp_path / "w.pt")


def test_what_cannot_be_followed_to_its_end_is_not_said_to_run_nothing(tmp_path: Path) -> None:
    data = pickle.dumps(["some", "values"], protocol=4)
    (tmp_path / "w.pt").write_bytes(data[:-3])
    with pytest.raises(UndoorError, match="truncated"):
        examine(tmp_path / "w.pt")
