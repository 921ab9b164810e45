"""Bearer tokens."""

from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from undoor.errors import UndoorError
from undoor.serve.tokens import Tokens

ONE, TWO = "a" * 20, "b" * 32


def test_accepts_its_tokens_alone(tmp_path: Path) -> None:
    file = tmp_path / "tokens.txt"
    file.write_text(f"# ours\n{ONE}\n\n  {TWO}  \n")
    tokens = Tokens.read(file)
    assert tokens.accept(f"Bearer {ONE}")
    assert tokens.accept(f"bearer  {TWO}")
    for wrong in (None, "", ONE, f"Basic {ONE}", "Bearer ", f"Bearer {ONE}x", "Bearer # ours"):
        assert not tokens.accept(wrong)


def test_every_token_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after one fits: time does not tell which."""
    calls = []

    def compare(a: bytes, b: bytes) -> bool:
        calls.append(b)
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert Tokens([ONE, TWO]).accept(f"Bearer {ONE}")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "at least one token"),
        (b"# none\n", "at least one token"),
        (b"short\n", "at least 16 characters"),
        ("ä".encode() * 20, "ASCII"),
        (b"\xff\xfe", "no text"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "tokens.txt"
    file.write_bytes(content)
    with pytest.raises(UndoorError, match=told):
        Tokens.read(file)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="no such file"):
        Tokens.read(tmp_path / "nowhere")
