"""Archives that hide a pickle, or that readers take differently, or that harm when unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from helpers.hostile.pickled import Bomb, reduced

Members = list[tuple[str, bytes]]


def members_of(content: object) -> Members:
    stream = io.BytesIO()
    torch.save(content, stream)
    with zipfile.ZipFile(stream) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zipped(members: Members, *, packed: bool = False) -> bytes:
    stream = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, data in members:
                archive.writestr(name, data)
    return stream.getvalue()


def checkpoint() -> Members:
    return members_of({"w": torch.zeros(4)})


def with_data(pickled: bytes) -> Members:
    """A checkpoint with another data.pkl."""
    return [(n, pickled if n.endswith("/data.pkl") else d) for n, d in checkpoint()]


def flagged(data: bytes, where: bytes, offset: int) -> bytes:
    """The flag "encrypted" set in the first header that starts with `where`."""
    changed = bytearray(data)
    start = changed.index(where) + offset
    changed[start] |= 1
    return bytes(changed)


def wrong_checksum(data: bytes) -> bytes:
    changed = bytearray(data)
    start = changed.index(b"PK\x01\x02") + 16
    changed[start] ^= 0xFF
    return bytes(changed)


def overlapping() -> bytes:
    """Many entries of the directory for the same bytes, as the best zip bombs have it."""
    data = zipped([("m/data.pkl", bytes(2**20))], packed=True)
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, many = data[start:end], 1000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, many, many, many * len(entry), start, 0)
    return data[:start] + entry * many + tail


def with_link() -> bytes:
    stream = io.BytesIO(zipped(checkpoint()))
    with zipfile.ZipFile(stream, "a") as archive:
        member = zipfile.ZipInfo("archive/data/99")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    return stream.getvalue()


def tarred(command: str) -> bytes:
    """Torch's format before 0.1.10."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            member = tarfile.TarInfo(name)
            data = reduced(command)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def exported(config: Mapping[str, object], more: Members) -> bytes:
    """An archive of torch.export with such a list of weights."""
    plain: Members = [
        ("m/archive_format", b"pt2"),
        ("m/models/model.json", b"{}"),
        ("m/data/weights/model_weights_config.json", json.dumps({"config": config}).encode()),
    ]
    return zipped([*plain, *more])


def huge_storage() -> bytes:
    """A pickle that claims 2**40 numbers of a storage of four."""
    data = dict(checkpoint())["archive/data.pkl"]
    huge = b"\x8a\x06" + (2**40).to_bytes(6, "little")
    return data.replace(b"K\x04\x85", huge + b"\x85")


def strided() -> bytes:
    """A tensor of 2**40 numbers, all of which are the same stored one."""
    return zipped(members_of({"w": torch.zeros(1).half().expand(2**20, 2**20)}))


def self_containing() -> bytes:
    """A dictionary whose state_dict is itself."""
    return zipped(with_data(b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s."))


def make(command: str) -> dict[str, bytes]:
    good, evil = zipped(checkpoint()), reduced(command)
    whole = members_of({"w": torch.zeros(4), "payload": Bomb(command)})
    pickled = {"w": {"path_name": "weight_0", "is_param": True, "use_pickle": True}}
    plain = {"w": {"path_name": "weight_0", "is_param": True, "use_pickle": False}}
    truthy = {"w": {"path_name": "weight_0", "is_param": True, "use_pickle": 1}}
    outside = {"w": {"path_name": "../../../etc/passwd", "use_pickle": False}}
    torch_in_7z = b"7z\xbc\xaf\x27\x1c" + zipped(whole)
    return {
        "zip_payload.pt": zipped(whole),
        "zip_payload_packed.pt": zipped(whole, packed=True),
        "zip_payload_wrong_checksum.pt": wrong_checksum(zipped(with_data(evil))),
        "zip_flag_in_directory.pt": flagged(zipped(whole), b"PK\x01\x02", 8),
        "zip_flag_in_header.pt": flagged(zipped(whole), b"PK\x03\x04", 6),
        "zip_other_name.pt": zipped([*checkpoint(), ("archive/weights.dat", evil)]),
        "zip_config_p.pt": zipped([*checkpoint(), ("archive/config.p", evil)]),
        "zip_second_data.pt": zipped([*checkpoint(), ("archive/data.pkl", evil)]),
        "zip_case.pt": zipped([*checkpoint(), ("archive/DATA.PKL", evil)]),
        "zip_trailing_pickle.pt": zipped(with_data(b"\x80\x02}." + evil)),
        "zip_broken_pickle.pt": zipped(with_data(evil[:-1])),
        "zip_traversal.pt": zipped([*checkpoint(), ("../../../outside/evil", b"x")]),
        "zip_absolute.pt": zipped([*checkpoint(), ("/outside/evil", b"x")]),
        "zip_link.pt": with_link(),
        "zip_overlapping.pt": overlapping(),
        "zip_bomb.pt": zipped([("m/data.pkl", bytes(2**28))], packed=True),
        "zip_huge_storage.pt": zipped(with_data(huge_storage())),
        "zip_strided.pt": strided(),
        "zip_contains_itself.pt": self_containing(),
        "zip_truncated.pt": good[: len(good) // 2],
        "zip_prefix.pt": evil + good,
        "zip_suffix.pt": good + evil,
        "zip_comment.pt": good[:-2] + b"\x04\x00evil",
        "zip_empty.pt": zipped([]),
        "npz_objects.npz": zipped([("x.npy", b"\x93NUMPY\x01\x00" + evil)]),
        "npy_objects.npy": b"\x93NUMPY\x01\x00\x10\x00{'descr':'|O'}" + evil,
        "keras_lambda.keras": zipped(
            [
                ("config.json", b'{"class_name": "Lambda"}'),
                ("model.weights.h5", b"\x89HDF\r\n\x1a\n"),
            ]
        ),
        "keras_lambda.h5": b"\x89HDF\r\n\x1a\n" + evil,
        "torchscript.pt": zipped(
            [
                ("m/code/__torch__.py", b"import os"),
                ("m/data.pkl", b"\x80\x02."),
                ("m/version", b"3"),
            ]
        ),
        "pt2_pickled.pt2": exported(pickled, [("m/data/weights/weight_0", zipped(whole))]),
        "pt2_truthy.pt2": exported(truthy, [("m/data/weights/weight_0", zipped(whole))]),
        "pt2_outside.pt2": exported(outside, []),
        "pt2_custom.pt2": exported(plain, [("m/data/constants/custom_obj_0", evil)]),
        "pt2_opaque.pt2": exported(plain, [("m/data/constants/opaque_obj_0", evil)]),
        "pt2_inputs.pt2": exported(plain, [("m/data/sample_inputs/model.pt", zipped(whole))]),
        "pt2_native.pt2": exported(plain, [("m/data/aotinductor/model/a.so", b"\x7fELF")]),
        "pt2_old.pt2": zipped([("m/serialized_exported_program.json", b"{}"), ("m/a.pt", evil)]),
        "tar_legacy.pt": tarred(command),
        "seven_zip.pt": torch_in_7z,
        "packed_gzip.pkl.gz": gzip.compress(evil),
        "packed_bz2.joblib": bz2.compress(evil),
        "packed_xz.pt": lzma.compress(evil),
    }


def write_all(folder: Path, command: str) -> list[Path]:
    made = []
    for name, data in make(command).items():
        file = folder / name
        file.write_bytes(data)
        made.append(file)
    return made
