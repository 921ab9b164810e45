"""What a pickle may do and still be a state dict."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from helpers.hostile import pickled
from helpers.hostile.archived import huge_storage, members_of
from undoor.load.pickles import Screening, is_safe, screen_member, screen_stream


def member(data: bytes) -> Screening:
    found = Screening()
    screen_member(data, "m/data.pkl", found)
    return found


def whys(found: Screening) -> str:
    return "; ".join(f"{breach.name} {breach.why}" for breach in found.breaches)


@pytest.mark.parametrize("name", pickled.MAKERS)
def test_every_way_is_a_breach(name: str) -> None:
    data = pickled.MAKERS[name]("true")
    stream = Screening()
    screen_stream(io.BytesIO(data), len(data), stream)
    assert member(data).breaches
    assert stream.breaches


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x80\x02ctorch.storage\nUntypedStorage\n\x8a\x06\0\0\0\0\0\x01\x85R.", "is called"),
        (b"\x80\x02ctorch\nTensor\nK\x01\x85R.", "torch.Tensor it is called"),
        (b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x04\0\0\0zlib\x86R.", "another coding"),
        (
            b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n"
            b"(ctorch.storage\nUntypedStorage\nctorch\nTensor\n)NtR.",
            "calls something other than",
        ),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NK\x00)NNNtR.", "a storage computed"),
        (huge_storage(), "far larger than what is stored"),
        (b"\x80\x02}.more", "4 bytes follow"),
        (b"\x80\x02ccollections\nOrderedDict\n)R}X\x03\0\0\0getK\x01sb.", "sets the state"),
    ],
)
def test_allowed_names_in_forbidden_ways(data: bytes, why: str) -> None:
    assert why in whys(member(data))


def test_where_it_is_told() -> None:
    (first, *_) = member(pickled.reduced("true")).breaches
    assert (first.name, first.opcode, first.position) == ("os.system", "GLOBAL", 2)
    assert first.member == "m/data.pkl"


def test_state_dicts_have_none() -> None:
    net = nn.Sequential(nn.Linear(2, 2).half(), nn.BatchNorm1d(2))
    shared = torch.zeros(100)
    content = {
        "state": net.state_dict(),
        "parameters": list(net.parameters()),
        "views": [shared[i : i + 50] for i in range(40)],
        "tied": [shared] * 10,
        "bytes": b"x",
        "set": {1},
    }
    (data,) = [data for name, data in members_of(content) if name.endswith("data.pkl")]
    found = member(data)
    assert (found.breaches, found.damage) == ([], "")
    assert found.globals["torch._utils._rebuild_tensor_v2"] == "GLOBAL"
    assert sum(found.stored.values()) == 100 + 4 + 2 + 4 * 2 + 1


def test_old_format() -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(1000)}, stream, _use_new_zipfile_serialization=False)
    data = stream.getvalue()
    found = Screening()
    screen_stream(io.BytesIO(data), len(data), found)
    assert (found.breaches, found.damage) == ([], "")
    screen_stream(io.BytesIO(data[:-3900]), 900, found := Screening())
    assert "declares 1,000 stored numbers in 900 bytes" in whys(found)


def test_names() -> None:
    assert is_safe("torch.bfloat16")
    assert is_safe("torch.cuda.HalfStorage")
    assert not is_safe("torch.nn.modules.linear.Linear")
    assert not is_safe("torch.nn.Storage.x")
