"""WebDataset shards: tar files of images and labels."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from helpers.pictures import encoded
from undoor.classifier import Classifier
from undoor.clean_set import read_clean_set, shards
from undoor.clean_set.shards import expand
from undoor.errors import UndoorError

Make = Callable[..., Classifier]
Member = tuple[str, bytes]


def write(path: Path, *members: Member, kind: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def samples(values: range, label: Callable[[int], Member]) -> list[Member]:
    out: list[Member] = []
    for value in values:
        suffix, data = label(value)
        out += [(f"train/{value:04}.png", encoded(value)), (f"train/{value:04}.{suffix}", data)]
    return out


def values(clean: object) -> list[int]:
    return (clean.images[:, 0, 0, 0] * 255).round().int().tolist()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    "label",
    [
        lambda value: ("cls", str(value % 3).encode()),
        lambda value: ("cls", b"%d\n" % (value % 3)),
        lambda value: ("json", b'{"label": %d, "url": "x"}' % (value % 3)),
        lambda value: ("json", b"%d" % (value % 3)),
        lambda value: ("txt", ["red", "sky", "tan"][value % 3].encode()),
    ],
)
def test_labels(tmp_path: Path, label: Callable[[int], Member], kind: int) -> None:
    path = write(tmp_path / "a.tar", *samples(range(6), label), kind=kind)
    clean = read_clean_set(path)
    assert values(clean) == [0, 1, 2, 3, 4, 5]
    assert clean.labels.tolist() == [0, 1, 2, 0, 1, 2]


def shard_set(folder: Path) -> Path:
    names = ["cat", "owl", "dog"]
    for shard in range(4):
        inside = samples(range(9 * shard, 9 * shard + 9), lambda v: ("txt", names[v % 3].encode()))
        write(folder / f"s-{shard:03}.tar", *inside)
    return folder


def test_many_shards(tmp_path: Path, make_classifier: Make) -> None:
    classifier = make_classifier(class_names=["dog", "cat", "owl"])
    pattern = f"{shard_set(tmp_path)}/s-{{000..003}}.tar"
    clean = read_clean_set(pattern, classifier=classifier)
    assert values(clean) == list(range(36))
    assert clean.labels.tolist() == [1, 2, 0] * 12
    assert values(read_clean_set(tmp_path, classifier=classifier)) == list(range(36))
    assert values(read_clean_set(tmp_path / "s-001.tar", classifier=classifier))[0] == 9
    drawn = read_clean_set(pattern, classifier=classifier, per_class=3, seed=2)
    assert torch.equal(drawn.images, clean.balanced(3, 2).images)
    with pytest.raises(UndoorError, match=r"the shard .*s-004.tar of .* does not exist"):
        read_clean_set(f"{tmp_path}/s-{{000..004}}.tar")
    with pytest.raises(UndoorError, match=r"one split already"):
        read_clean_set(pattern, split="train")


def test_expand() -> None:
    assert [str(p) for p in expand("{1..2}/s-{09..11}.tar")] == [
        "1/s-09.tar", "1/s-10.tar", "1/s-11.tar", "2/s-09.tar", "2/s-10.tar", "2/s-11.tar"
    ]  # fmt: skip
    for pattern in ("s-{3..1}.tar", "s-{0..9999999999}.tar", "{0..999}{0..999}"):
        with pytest.raises(UndoorError, match=r"files; expected a range such as"):
            expand(pattern)


def test_odd_samples(tmp_path: Path) -> None:
    members = [
        ("../../etc/a.png", encoded(1)), ("../../etc/a.cls", b"1"),
        ("/b.png", encoded(2)), ("/b.cls", b"0"),
        ("c.png", encoded(3)),
        ("d.png", encoded(4)), ("d.json", b"{"),
        ("e.png", encoded(5)), ("e.json", b'{"label": [1, 2]}'),
        ("f.png", encoded(6)), ("f.json", b"[" * 50000),
        ("g.cls", b"0"),
        ("h.seg.png", encoded(7)), ("h.jpg", encoded(8)), ("h.cls", b"0"),
        ("._h.jpg", b"resource fork"),
        ("i.png", b""), ("i.cls", b"0"),
        ("j.png", encoded(9)), ("j.cls", b"-1"),
    ]  # fmt: skip
    before = set(tmp_path.rglob("*"))
    clean = read_clean_set(write(tmp_path / "a.tar", *members))
    assert values(clean) == [1, 2, 8]
    assert clean.labels.tolist() == [1, 0, 0]
    assert clean.reading.lost == {"empty": 1, "no label": 5}
    assert clean.reading.changed == {}
    assert "a.tar[g]: no image in this sample" in clean.skipped[0]
    assert set(tmp_path.rglob("*")) == {*before, tmp_path / "a.tar"}


def test_links_and_devices_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(f"{number}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    with pytest.raises(UndoorError, match=r"holds no readable image"):
        read_clean_set(path)


def test_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", *samples(range(6), lambda v: ("cls", b"0")))
    whole = path.read_bytes()
    # The members alone end at 12 headers and as many blocks; two empty blocks and padding follow.
    middle = 4 * 1024
    for data in (whole[: middle + 100], whole[: middle + 700], whole[:100], b"", b"noise" * 200):
        path.write_bytes(data)
        with pytest.raises(UndoorError, match=r"a.tar is not a whole .tar file"):
            read_clean_set(path)
    path.write_bytes(whole[:middle] + b"x" * 512 + whole[middle + 512 :])
    with pytest.raises(UndoorError, match=r"a damaged header at byte 4096"):
        read_clean_set(path)
    path.write_bytes(whole[: 12 * 1024])
    assert len(read_clean_set(path)) == 6


def test_compressed(tmp_path: Path) -> None:
    import gzip

    path = write(tmp_path / "a.tar", *samples(range(6), lambda v: ("cls", b"0")))
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UndoorError, match=r"unpack it where it is compressed"):
        read_clean_set(path)


def test_no_member_may_be_larger_than_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = samples(range(3), lambda v: ("cls", b"0"))
    path = write(tmp_path / "a.tar", *good, ("z.png", bytes(5000)), ("z.cls", b"0"))
    monkeypatch.setattr(shards, "MAX_BYTES", 2000)
    assert read_clean_set(path).reading.lost == {"too large": 1}
    monkeypatch.setattr(shards, "MAX_LABEL_BYTES", 100)
    write(path, *good, ("z.cls", bytes(101)))
    with pytest.raises(
        UndoorError, match=r"z.cls of .* has 101 bytes; expected a label of at most 100"
    ):
        read_clean_set(path)
    # The header of a long name says how long it is.
    write(path, *good, ("n" * 5000 + ".png", b""))
    with pytest.raises(UndoorError, match=r"a header asks for 5\d\d\d bytes"):
        read_clean_set(path)
