"""Data sets that are small on disk and huge, endless or misleading for whoever reads them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from functools import cache

import numpy as np
from numpy.lib import format as npy

from helpers.pictures import encoded

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header of a tar archive; sizes below 0 as GNU tar writes them."""
    plain = tarfile.TarInfo(name)
    plain.type = kind
    block = bytearray(plain.tobuf(tarfile.USTAR_FORMAT))
    wide = b"\xff" + (size % 256**11).to_bytes(11, "big")
    block[124:136] = wide if size < 0 else b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extended(text: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A header in front of another, with its text."""
    return header("pax", len(text), kind) + text + bytes(-len(text) % BLOCK)


def record(name: bytes, value: bytes) -> bytes:
    body = b" " + name + b"=" + value + b"\n"
    size = next(n for n in range(len(body), len(body) + 9) if n == len(b"%d" % n) + len(body))
    return b"%d" % size + body


def image(name: str = "a.png") -> bytes:
    data = encoded()
    return header(name, len(data)) + data + bytes(-len(data) % BLOCK)


@cache
def tars() -> dict[str, bytes]:
    # Back to the header itself, past its own text and the header of the member.
    back = extended(record(b"size", b"-1536"))
    everywhere = extended(record(b"size", b"-512"), tarfile.XGLTYPE)
    greedy = b"".join(b"2 " for _ in range(30_000)) + b"="
    return {
        "negative_size": header("a.png", -BLOCK) + END,
        "negative_size_later": image() + header("b.png", -BLOCK) + END,
        "negative_long_name": header("n", -BLOCK, tarfile.GNUTYPE_LONGNAME) + image() + END,
        "negative_pax_size": image() + back + header("b.png", 0) + END,
        "negative_pax_size_of_all": everywhere + image() + image("b.png") + END,
        "headers_without_end": extended(b"x", tarfile.GNUTYPE_LONGNAME) * 2000 + image() + END,
        "digits": extended(b"1" * 60_000) + image() + END,
        "digits_in_a_record": extended(record(b"path", b"1" * 60_000)) + image() + END,
        "overlapping_records": extended(greedy) + image() + END,
        "record_of_no_length": extended(b"0 a=b\n") + image() + END,
        "size_of_many_digits": extended(record(b"size", b"9" * 400)) + image() + END,
        "header_beyond_names": extended(record(b"path", b"a/" * 40_000)) + image() + END,
        "many_for_all": b"".join(
            extended(record(b"k%d" % i, b"v"), tarfile.XGLTYPE) + image() for i in range(70)
        )
        + END,
        "sparse": header("a.png", 10, tarfile.GNUTYPE_SPARSE) + END,
        "sparse_pax": extended(record(b"GNU.sparse.map", b"0,1")) + image() + END,
        "label_beyond_names": image("a.png")
        + header("a.cls", 5000)
        + b"n" * 5000
        + bytes(-5000 % BLOCK)
        + END,
    }


def array(shape: tuple[int, ...], descr: str, data: bytes, *, fortran: bool = False) -> bytes:
    """An array file whose header may say anything."""
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": descr, "fortran_order": fortran, "shape": shape})
    return stream.getvalue() + data


def npz(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


@cache
def npzs() -> dict[str, bytes]:
    two = array((2, 4, 4, 3), "|u1", bytes(96))
    labels = array((2,), "|u1", b"\x00\x01")
    many = 3_000_000
    nested = b"\x93NUMPY\x01\x00" + (6000).to_bytes(2, "little") + b"-" * 6000
    return {
        "labels_beyond_bytes": npz(
            x=array((many, 1, 1), "|u1", bytes(many)), y=array((many,), "|u1", bytes(many))
        ),
        "images_without_pixels": npz(
            x=array((2**40, 0, 4, 3), "|u1", b""), y=array((2**40,), "|V0", b"")
        ),
        "more_labels_than_images": npz(x=two, y=array((2**20,), "<i8", bytes(2**23))),
        "labels_declared_alone": npz(x=two, y=array((2, 2**40), "<i8", b"\0")),
        "images_declared_alone": npz(x=array((2, 2**20, 2**20), "|u1", b""), y=labels),
        "fortran_declared_alone": npz(x=array((2, 5000, 5000), "<f8", b"", fortran=True), y=labels),
        "image_of_billions": npz(x=array((2, 2**15, 2**15), "|V0", b""), y=labels),
        "names_declared_alone": npz(x=two, y=labels, classes=array((2**30,), "<U99", b"")),
        "names_of_megabytes": npz(
            x=two, y=labels, classes=array((2,), "<U300000", bytes(2 * 4 * 300_000))
        ),
        "negative_shape": npz(x=array((-2, -48), "|u1", bytes(96)), y=labels),
        "nested_header": npz(x=nested, y=labels),
        "labels_of_64_bits": npz(x=two, y=array((2,), "<u8", b"\xff" * 16)),
        "labels_of_60_bits": npz(x=two, y=array((2,), "<i8", b"\xff" * 7 + b"\x0f" + bytes(8))),
        "labels_of_floats": npz(x=two, y=array((2,), "<f8", b"\xff" * 16)),
    }


def parts(kind: str) -> dict[str, bytes]:
    """Hostile files by name, of one kind."""
    return {"tar": tars, "npz": npzs}[kind]()


def valid_npz() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(
        stream, x=np.zeros((4, 4, 4, 3), np.uint8), y=np.arange(4) % 2, classes=np.array(["a", "b"])
    )
    return stream.getvalue()


def valid_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (("é/0.png", encoded()), ("é/0.cls", b"0"), ("b.png", encoded())):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 0.5
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def valid_parquet(compression: str) -> bytes:
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    table = pyarrow.table({"image": [encoded(i) for i in range(4)], "label": ["a", "b"] * 2})
    pyarrow.parquet.write_table(table, stream, compression=compression)
    return stream.getvalue()
