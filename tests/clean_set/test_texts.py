"""Text files with byte-order marks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from undoor.clean_set import read_classes, texts
from undoor.clean_set.shards import _label
from undoor.clean_set.texts import decoded
from undoor.errors import UndoorError

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_class_names(tmp_path: Path, encoding: str) -> None:
    names = ["äpfel", "date palm"]
    text, pairs = tmp_path / "names.txt", tmp_path / "names.json"
    text.write_bytes("\r\n".join(names).encode(encoding))
    assert read_classes(str(text)) == names
    pairs.write_bytes(json.dumps(names, ensure_ascii=False).encode(encoding))
    assert read_classes(str(pairs)) == names


def test_marks_in_both_orders() -> None:
    for encoding, mark in (("utf-16-be", b"\xfe\xff"), ("utf-32-be", b"\0\0\xfe\xff")):
        assert decoded(mark + "aß".encode(encoding)) == "aß"
    with pytest.raises(ValueError, match="utf-16"):
        decoded(b"\xff\xfea")


def test_labels_of_shards() -> None:
    assert _label({"txt": b"\xef\xbb\xbfapple\r\n"}) == "apple"
    assert _label({"cls": b"\xef\xbb\xbf-1"}) is None
    assert _label({"json": b'\xef\xbb\xbf{"label": 2}'}) == 2


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_BYTES", 10)
    (tmp_path / "names.txt").write_bytes(b"a\n" * 6)
    with pytest.raises(UndoorError, match=r"more than 10 bytes"):
        read_classes(str(tmp_path / "names.txt"))
