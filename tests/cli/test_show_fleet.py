"""A fleet as a table on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from undoor.cli.show_fleet import _screen, show_fleet, watched
from undoor.fleet.entry import FleetEntry, Problem, Target
from undoor.fleet.fleet import Fleet

TARGETS = tuple(Target(n, "stop" if n else "0", "patch", 0.01, 0.9) for n in range(5))
BAD = FleetEntry("bad", "b", "d", "finished", 1, "backdoored", TARGETS)
DOUBT = FleetEntry("doubt", "i", "d", "finished", 2, "inconclusive", reasons=("so few images",))
LOST = FleetEntry("[red]lost\x1b[0m", "l", "d", "failed", 4, problem=Problem("gone", "find it"))
CLEAN = [FleetEntry(f"fine{n}", "f", "d", "finished", 0, "clean") for n in range(50)]


def shown(width: int = 120) -> Console:
    return Console(file=io.StringIO(), width=width)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_model_is_shown() -> None:
    console = shown()
    show_fleet(console, Fleet((BAD, DOUBT, LOST, *CLEAN), "scan", 4))
    out = text(console)
    assert all(entry.name in out for entry in CLEAN)
    assert "0 (patch, p = 0.01), 1 stop (patch, p = 0.01)" in " ".join(out.split())
    assert "so few images" in out
    assert "gone; find it" in out
    assert "[red]lost" in out
    assert "\x1b" not in out
    assert "53 models: 1 backdoored, 1 inconclusive, 50 clean, 1 failed" in out


def test_a_terminal_shows_what_matters() -> None:
    """As many as there is room for, the good ones last."""
    entries = {entry.name: entry for entry in (*CLEAN, BAD, DOUBT, LOST)}
    console = shown(100)
    console.print(_screen(entries, 20))
    out = text(console)
    assert len(out.splitlines()) <= 20
    assert all(name in out for name in ("bad", "doubt", "lost"))
    assert "40 not shown" in out


def test_elsewhere_each_result_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    entries = {"waits": FleetEntry("waits", "w", "d"), "bad": BAD}
    with watched(entries) as note:
        note(entries["waits"])
        note(BAD)
    said = capsys.readouterr().err
    assert said.startswith("1 of 2: bad: backdoored: 0 (patch")
    assert len(said.splitlines()) == 1
