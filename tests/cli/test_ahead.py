"""Who searches what, where several processes search one model."""

from __future__ import annotations

from pathlib import Path

from typer.main import get_command

from undoor.cli import app
from undoor.cli.ahead import claims


def test_each_name_is_claimed_once(tmp_path: Path) -> None:
    first, second = (claims(tmp_path / "claims", helper) for helper in (0, 1))
    assert first("patch margin")
    assert not second("patch margin")
    assert second("warp")
    assert not first("warp")


def test_a_helper_that_was_killed_claims_its_own_again(tmp_path: Path) -> None:
    assert claims(tmp_path, 3)("warp")
    assert claims(tmp_path, 3)("warp")
    assert not claims(tmp_path, 2)("warp")


def test_it_is_no_command_for_people() -> None:
    assert "ahead" not in get_command(app).commands  # type: ignore[attr-defined]
