"""Parquet and Arrow files that unpack to far more than they weigh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.pictures import encoded
from undoor.clean_set import read_clean_set
from undoor.clean_set.messages import is_compressed
from undoor.clean_set.parquet_pages import pages_of
from undoor.errors import UndoorError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(folder: Path, image: Any, label: Any, **options: Any) -> Path:
    path = folder / "a.parquet"
    pq.write_table(pa.table({"image": image, "label": label}), path, **options)
    return path


def test_rows_beyond_bytes(tmp_path: Path) -> None:
    count = 2_000_000
    labels = pa.DictionaryArray.from_arrays(pa.array(bytes(count), pa.int8()), ["a"])
    path = write(tmp_path, pa.nulls(count, pa.binary()), labels, row_group_size=count)
    assert path.stat().st_size < 100_000
    with pytest.raises(UndoorError, match=r"declares 2,000,000 samples in"):
        read_clean_set(path)


@pytest.mark.parametrize("dictionary", [True, False])
def test_pages_that_unpack_to_much(tmp_path: Path, dictionary: bool) -> None:
    """As one image that is stored once and meant by every row, or as a page of zeros."""
    images = pa.array([bytes(2**25), b"x"] * 2)
    options = {"compression": "zstd", "use_dictionary": dictionary, "write_statistics": False}
    path = write(tmp_path, images, [0, 1] * 2, **options, dictionary_pagesize_limit=2**30)
    assert path.stat().st_size < 20_000
    with pytest.raises(UndoorError, match=r"a page of column image unpacks from .* to \d+,\d+,"):
        read_clean_set(path)


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_long_names(tmp_path: Path, encoding: str) -> None:
    names = ["n" * 100_000] * 100
    options = {"use_dictionary": False, "column_encoding": {"label": encoding}}
    path = write(tmp_path, [b"x"] * 100, names, compression="zstd", **options)
    with pytest.raises(UndoorError, match=r"has 100,000 characters"):
        read_clean_set(path)


@pytest.mark.parametrize("options", [
    {"compression": "none"}, {"compression": "gzip"}, {"data_page_version": "2.0"},
    {"compression": "zstd", "use_dictionary": False}, {"write_page_index": True},
    {"row_group_size": 2}, {"data_page_size": 100}, {"write_statistics": False},
])  # fmt: skip
def test_honest_files_of_any_kind_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    images = [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(12)]
    path = write(tmp_path, images, [i % 2 for i in range(12)], **options)
    clean = read_clean_set(path)
    assert (clean.images[:, 0, 0, 0] * 255).round().tolist() == list(range(12))


@pytest.mark.parametrize("image", [[[b"x", b"y"]] * 4, [[1] * 9] * 4, [{"bytes": [b"x"]}] * 4])
def test_images_are_no_lists(tmp_path: Path, image: Any) -> None:
    with pytest.raises(UndoorError, match=r"expected encoded images: bytes, or a struct"):
        read_clean_set(write(tmp_path, image, [0, 1, 0, 1]))


def test_every_flipped_byte_is_an_error_or_harmless(tmp_path: Path) -> None:
    path = write(tmp_path, [encoded(i) for i in range(4)], ["a", "b"] * 2, compression="zstd")
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        for value in (0x00, 0xFF, whole[place] ^ 0x10):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                read_clean_set(path)
            except UndoorError as error:
                assert "\n" not in str(error)  # noqa: PT017


def test_footers(tmp_path: Path) -> None:
    path = write(tmp_path, [encoded(i) for i in range(4)], [0, 1] * 2)
    whole = path.read_bytes()
    with pages_of(path) as pages:
        assert {chunk.path for chunk in pages.chunks} == {"image", "label"}
        assert 0 < pages.largest("label") < 200
        assert pages.largest("label", 7) == 0
    for damaged in (b"", b"PAR1", whole[:-8] + b"\xff" * 4 + b"PAR1", whole[:-4] + b"PARE"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"too short|footer"), pages_of(path):
            pass


def saved(folder: Path, *, compression: str | None) -> Path:
    """What `save_to_disk` writes, but compressed."""
    table = pa.table({"image": [bytes(10_000)] * 8, "label": [0, 1] * 4})
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(folder / "d.arrow", table.schema, options=options) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "d.arrow"}]}))
    return folder


def test_compressed_arrow(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"its parts are compressed"):
        read_clean_set(saved(tmp_path, compression="zstd"))
    with pytest.raises(UndoorError, match=r"holds no readable image"):
        read_clean_set(saved(tmp_path, compression=None))


def test_messages() -> None:
    for damaged in (b"", b"\xff" * 40):
        with pytest.raises(ValueError, match="damaged"):
            is_compressed(memoryview(damaged))
