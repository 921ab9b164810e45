"""Tables on narrow terminals, and on those of ASCII."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from helpers.cli_fakes import Cli
from undoor.cli.streams import ERRORS
from undoor.cli.tables import table_of

WORDS = "a/very/long/path/to/an/image-of-a-stop-sign.png"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [20, 40, 80])
def test_nothing_is_cut_and_no_line_is_wider(encoding: str, width: int) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors=ERRORS)
    table = table_of("image", "", "rate", title="Some title", numbers=True)
    table.add_row(Text(WORDS), "predicted as 12 (speed limit 80)", "12.5 %")
    Console(file=stream, width=width).print(table)
    stream.flush()
    lines = raw.getvalue().decode(encoding).splitlines()
    assert max(map(len, lines)) <= width
    shown = "".join(c for c in "".join(lines) if c.isalnum())
    assert set(WORDS) - set("/-.") <= set(shown)
    assert "..." not in "".join(lines)
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    # Each piece of the long cell is there, in order.
    rows = [re.split(r"[|\u2502]", line)[1] for line in lines if line[0] in "|\u2502"]
    assert WORDS in "".join("".join(rows).split())


def test_hashes_are_never_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path, monkeypatch)
    monkeypatch.setenv("COLUMNS", "30")
    result = cli.run("inspect", cli.model, "--trust-code")
    for line in result.stdout.partition("SHA-256")[2].splitlines()[1:3]:
        digest, _, path = line.partition("  ")
        assert len(digest) == 64
        assert path
