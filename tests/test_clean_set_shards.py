"""Tar files as WebDataset lays them out."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from pictures import encoded

from undoor.clean_set import CleanSet, read_clean_set
from undoor.clean_set.shards import expand
from undoor.errors import UndoorError


def shard(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file


def test_labels_of_every_kind(tmp_path: Path) -> None:
    members = {
        "a/1.png": encoded(1),
        "a/1.cls": b"2\n",
        "a/2.txt": b"0",
        "a/2.png": encoded(2),
        "a/3.json": b'{"label": 1, "who": "x"}',
        "a/3.png": encoded(3),
    }
    clean = read_clean_set(shard(tmp_path / "s.tar", members))
    assert clean.labels.tolist() == [2, 0, 1]
    assert (clean.images[:, 0, 0, 0] * 255).round().tolist() == [1, 2, 3]


def test_several_shards_and_names(tmp_path: Path) -> None:
    for index, name in enumerate(["owl", "cat", "owl"]):
        image = {f"{index}.png": encoded(index), f"{index}.cls": name.encode()}
        shard(tmp_path / f"s-{index:03d}.tar", image)
    for path in (tmp_path, tmp_path / "s-{000..002}.tar"):
        clean = read_clean_set(path)
        assert clean.class_names == ("cat", "owl")
        assert clean.labels.tolist() == [1, 0, 1]
    assert CleanSet.from_shards(tmp_path, class_names=["owl", "cat"]).labels.tolist() == [0, 1, 0]


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    members = {
        "../../evil.sh": b"rm",
        "1.png": encoded(1),
        "1.cls": b"0",
        "2.png": b"noise",
        "2.cls": b"0",
        "3.png": encoded(3),
        "4.cls": b"1",
        "5.png": encoded(5),
        "5.json": b"{",
        "6.png": b"",
        "6.cls": b"0",
    }
    clean = read_clean_set(shard(tmp_path / "s.tar", members))
    assert len(clean) == 1
    reasons = " | ".join(clean.skipped)
    for told in ("2: not an image", "3: no label", "4: no image", "5: its .json", "6: not"):
        assert told in reasons
    assert not (tmp_path.parent.parent / "evil.sh").exists()


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"s-001\.tar does not exist"):
        read_clean_set(tmp_path / "s-{001..002}.tar")
    (tmp_path / "s.tar").write_bytes(b"noise" * 300)
    with pytest.raises(UndoorError, match="not a readable tar file"):
        read_clean_set(tmp_path / "s.tar")
    file = shard(tmp_path / "t.tar", {"1.png": encoded(1), "1.cls": b"0"})
    with pytest.raises(UndoorError, match="no splits"):
        read_clean_set(file, split="test")
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(UndoorError, match=r"t\.tar"):
        read_clean_set(file)


def test_patterns() -> None:
    assert expand("plain.tar") == ["plain.tar"]
    assert expand("{0..1}/s{1..2}.tar") == ["0/s1.tar", "0/s2.tar", "1/s1.tar", "1/s2.tar"]
    assert expand("{2..1}.tar") == []
