"""Of a source, what is wanted is decoded and nothing else, whatever lies on the disk."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from helpers.pictures import encoded, make_folder
from undoor.clean_set import CleanSet, index
from undoor.clean_set.images import decode_file
from undoor.clean_set.index import Index, Raw, Selection, gather
from undoor.clean_set.reading import UnreadableError
from undoor.errors import UndoorError


class Watched:
    """A source of 8 x 8 grey arrays that counts which are read; `broken` ones cannot be."""

    def __init__(self, labels: Sequence[Any], broken: Sequence[int] = (), **options: Any) -> None:
        self.read_rows: list[int] = []
        self.broken = set(broken)
        self.index = Index("source", labels, "s[{}]".format, self._read, **options)

    def _read(self, rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        assert list(rows) == sorted(rows)
        for row in rows:
            self.read_rows.append(row)
            broken = row in self.broken
            yield row, UnreadableError("torn") if broken else np.full((8, 8, 1), row, np.float32)


def rows(source: Any) -> list[int]:
    return source.images[:, 0, 0, 0].astype(int).tolist()


def test_no_more_is_read_than_is_wanted() -> None:
    watched = Watched([row % 4 for row in range(10_000)])
    source = gather(watched.index, Selection(per_class=5, seed=3))
    assert Counter(source.labels.tolist()) == {0: 5, 1: 5, 2: 5, 3: 5}
    # One more is looked at for its size.
    assert len(watched.read_rows) == 21
    assert all(row % 4 == label for row, label in zip(rows(source), source.labels, strict=True))


def test_what_is_drawn_is_what_balanced_draws() -> None:
    labels = [row % 3 for row in range(90)]
    whole = CleanSet.of(gather(Watched(labels).index, Selection()))
    for seed in range(3):
        drawn = CleanSet.of(gather(Watched(labels).index, Selection(per_class=4, seed=seed)))
        assert torch.equal(drawn.images, whole.balanced(4, seed).images)
        assert torch.equal(drawn.labels, whole.balanced(4, seed).labels)


def test_another_image_takes_the_place_of_a_broken_one() -> None:
    labels = [0] * 50 + [1] * 3
    first = gather(Watched(labels).index, Selection(per_class=3))
    broken = [row for row in rows(first) if row < 50][:2]
    source = gather(Watched(labels, broken).index, Selection(per_class=3))
    assert Counter(source.labels.tolist()) == {0: 3, 1: 3}
    assert not set(broken) & set(rows(source))
    assert source.reading.skipped == tuple(f"s[{row}]: torn" for row in sorted(broken))
    assert source.reading.lost == {"damaged": 2}
    assert source.reading.lost_of == {"0": 2}
    assert source.reading.tried_of == {"0": 5, "1": 3}
    source = gather(Watched(labels, range(50, 52)).index, Selection(per_class=3))
    assert Counter(source.labels.tolist()) == {0: 3, 1: 1}


def test_declared_names_number_the_labels() -> None:
    watched = Watched([0, 2, -1, None, 3], declared=("dog", "cat", "owl"))
    source = gather(watched.index, Selection(class_names=("owl", "dog", "cat")))
    assert source.labels.tolist() == [1, 0]
    assert source.reading.lost == {"no label": 3}
    assert gather(watched.index, Selection()).labels.tolist() == [0, 2]


def test_names_declared_twice_are_told_apart_by_number_or_refused() -> None:
    names = ("crane", "dog", "crane")
    watched = Watched([0, 1, 2], declared=names)
    for own in (names, ("0", "1", "2"), None):
        assert gather(watched.index, Selection(class_names=own)).labels.tolist() == [0, 1, 2]
    with pytest.raises(UndoorError, match=r"several classes named 'crane'"):
        gather(watched.index, Selection(class_names=("crane", "dog", "machine")))


def test_classes_left_out_are_not_read() -> None:
    watched = Watched(["a", "b", "c"] * 4)
    chosen = Selection(class_names=("x", "y"), classes={"a": "y", "b": None, "c": "x"})
    source = gather(watched.index, chosen)
    assert source.labels.tolist() == [1, 0] * 4
    assert not any(row % 3 == 1 for row in watched.read_rows)


def test_where_all_would_be_too_much_fewer_are_drawn() -> None:
    watched = Watched([0] * 100 + [1] * 10)
    # 256 bytes an image: 40 fit.
    source = gather(watched.index, Selection(max_memory=40 * 256))
    assert Counter(source.labels.tolist()) == {0: 20, 1: 10}
    assert len(watched.read_rows) == 31
    assert "20 images per class are drawn" in source.reading.notes[0]
    assert not gather(watched.index, Selection(max_memory=110 * 256)).reading.notes
    assert not gather(watched.index, Selection(max_memory=512, per_class=1)).reading.notes
    with pytest.raises(UndoorError, match=r"one image of each of the 2 classes of source takes"):
        gather(watched.index, Selection(max_memory=511, per_class=1))


def test_nothing_is_the_same_as_too_little() -> None:
    with pytest.raises(UndoorError, match=r"holds no readable image \(2 left out, the first: s"):
        gather(Watched([0, 1], [0, 1]).index, Selection())
    with pytest.raises(UndoorError, match=r"per_class must be at least 1"):
        Selection(per_class=0)


def test_the_order_of_the_file_system_is_of_no_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, ["b", "a", "c"], each=9)
    drawn = CleanSet.from_folder(tmp_path, per_class=4, seed=1)
    for name in ("iterdir", "rglob", "glob"):
        original = getattr(Path, name)
        backwards = lambda *given, original=original: iter(list(original(*given))[::-1])  # noqa: E731
        monkeypatch.setattr(Path, name, backwards)
    again = CleanSet.from_folder(tmp_path, per_class=4, seed=1)
    assert torch.equal(drawn.images, again.images)
    assert torch.equal(drawn.labels, again.labels)
    other = CleanSet.from_folder(tmp_path, per_class=4, seed=2)
    assert not torch.equal(drawn.images, other.images)


def test_one_decoded_image_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path, ["a", "b"], each=20)
    decoded: list[Any] = []

    def watch(file: Any, size: Any) -> Any:
        decoded.append(file)
        return decode_file(file, size)

    monkeypatch.setattr(index, "decode_file", watch)
    CleanSet.from_folder(tmp_path, per_class=2)
    assert len(decoded) == 5


# As float32 the images of each source take 384 MB; 200 more may be used than before reading began.
BOUNDED = """
import resource, sys
from undoor.clean_set import read_clean_set
small, *large = sys.argv[1:]
read_clean_set(small, per_class=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20,) * 2)
for path in large:
    print(read_clean_set(path, per_class=4, seed=1).labels.bincount().tolist())
try:
    read_clean_set(large[0])
except (MemoryError, RuntimeError):
    print("too much")
"""
SIDE, COUNT = 512, 128


def large_npz(root: Path) -> Path:
    x = np.broadcast_to(np.uint8(0), (COUNT, SIDE, SIDE, 3))
    np.savez_compressed(root / "large.npz", x=x, y=np.arange(COUNT) % 2)
    return root / "large.npz"


def large_parquet(root: Path) -> Path:
    """Row groups of 48 MB."""
    stream = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE)).save(stream, "BMP")
    table = pa.table({"image": [stream.getvalue()] * COUNT, "label": np.arange(COUNT) % 2})
    pq.write_table(table, root / "large.parquet", compression="zstd", row_group_size=64)
    return root / "large.parquet"


def large_shard(root: Path) -> Path:
    stream = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE)).save(stream, "BMP")
    with tarfile.open(root / "large.tar", "w") as archive:
        for row in range(COUNT):
            for suffix, data in (("bmp", stream.getvalue()), ("cls", str(row % 2).encode())):
                member = tarfile.TarInfo(f"{row:06}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return root / "large.tar"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc are Linux")
def test_data_larger_than_memory(tmp_path: Path) -> None:
    small = tmp_path / "small.parquet"
    pq.write_table(pa.table({"image": [encoded()] * 2, "label": [0, 1]}), small)
    paths = [small, *(make(tmp_path) for make in (large_npz, large_parquet, large_shard))]
    command = [sys.executable, "-c", BOUNDED, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.stdout.splitlines() == ["[4, 4]"] * 3 + ["too much"], result.stderr
