"""stdout is the command's: what models print, and what a terminal cannot show."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import undoor
from helpers import forked
from helpers.cli_fakes import Cli
from undoor.cli import streams
from undoor.cli.streams import ERRORS, MAX_LINES, PREFIX, Cleaner

MAIN = "import sys; from undoor.cli import main; main()"
ESCAPE = "\x1b[2J\x1b]0;owned\x07"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def started(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """The command as the shell starts it."""
    home = str(Path(undoor.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": home, "OMP_NUM_THREADS": "1"},
        cwd=cwd,
    )


class Prints(nn.Module):
    """Prints from C++ once it is a script."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print('{"verdict": "clean"}\x1b[2J')  # noqa: T201
        return self.fc(x)


def test_a_script_cannot_print_to_stdout(tmp_path: Path) -> None:
    file = tmp_path / "m.pt"
    torch.jit.save(torch.jit.script(Prints().eval()), str(file))
    done = forked.undoor("inspect", file, "--input-shape", "3", "--json")
    assert json.loads(done.stdout)["schema"] == "undoor/inspection/2"
    assert b"\x1b" not in done.stdout + done.stderr
    assert f'{PREFIX}{{"verdict": "clean"}}\\x1b[2J\n'.encode() in done.stderr


def test_nothing_of_an_architecture_gets_to_stdout(cli: Cli) -> None:
    """Not what it prints, nor what a library or another program prints for it, early or late."""
    nets = cli.folder / "model" / "nets.py"
    nets.write_text(
        "import atexit, ctypes, os, sys, warnings\n"
        f"print({ESCAPE!r})\n"
        "os.write(1, b'raw \\x1b[2J\\n')\n"
        "os.system('echo program')\n"
        "ctypes.CDLL(None).puts(b'buffered \\x1b[2J')\n"
        "sys.__stdout__.write('original\\n')\n"
        f"warnings.warn({ESCAPE!r})\n"
        "atexit.register(lambda: os.write(1, b'late'))\n" + nets.read_text()
    )
    done = started("inspect", cli.model, "--architecture", f"{nets}:net", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["opened"]
    assert b"\x1b" not in done.stderr
    assert b"\x07" not in done.stderr
    for told in (b"raw \\x1b[2J", b"program", b"owned"):
        assert told in done.stderr


def test_in_one_process(cli: Cli) -> None:
    nets = cli.folder / "model" / "nets.py"
    nets.write_text(f"print({ESCAPE!r})\n{nets.read_text()}")
    result = cli.run("inspect", cli.model, "--architecture", f"{nets}:net", "--json")
    assert json.loads(result.stdout)["opened"]
    assert result.stderr == f"{PREFIX}\\x1b[2J\\x1b]0;owned\\x07\n"
    assert streams.results() is sys.stdout


def test_help_and_wrong_options() -> None:
    done = started("--help")
    assert done.returncode == 0
    assert b"undoor demo" in done.stdout
    done = started("scan", "--no-such-option")
    assert done.returncode in (3, 4)
    assert b"No such option" in done.stderr
    assert PREFIX.encode() not in done.stderr


@pytest.fixture
def unread() -> Iterator[int]:
    """A descriptor that nobody reads from any more."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_a_reader_that_goes_away(cli: Cli, unread: int) -> None:
    """Is an error, whatever a library would end with: 1 means backdoored."""
    done = forked.undoor("inspect", cli.model, stdout=unread)
    assert done.stderr == b""
    assert done.returncode in (3, 4)


def test_a_reader_of_json_that_goes_away(cli: Cli, unread: int) -> None:
    """Python adds nothing when it ends either, so this one is a new process."""
    weights = str(cli.folder / "model" / "weights.safetensors")
    command = [sys.executable, "-c", MAIN, "inspect", weights, "--json"]
    done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b""
    assert done.returncode in (3, 4)


@pytest.mark.parametrize("encoding", ["ascii", "cp932"])
def test_characters_that_stdout_lacks(cli: Cli, encoding: str) -> None:
    done = forked.undoor("inspect", cli.model, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert "SAFE TO OPEN" in done.stdout.decode(encoding)
    missing = ("scan", cli.folder / "näh•.toml", "--data", cli.data)
    done = forked.undoor(*missing, encoding=encoding)
    assert done.returncode in (3, 4)
    assert b"does not exist" in done.stderr
    assert done.stderr.startswith(b"undoor: error: ")


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp850", "cp932", "cp936", "cp949"])
def test_every_character_is_written_somehow(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors=ERRORS)
    stream.write("┏━┓ • – × ≥ é 中 \U0001f600")
    stream.flush()
    assert raw.getvalue().decode(encoding).endswith("\\U0001f600")


def test_substitutes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors=ERRORS)
    stream.write("• 3 × 4 ≥ 1 – \u4e2d \U0001f600")
    stream.flush()
    assert raw.getvalue() == b"- 3 x 4 >= 1 - \\u4e2d \\U0001f600"


def test_a_bounded_number_of_lines() -> None:
    cleaner = Cleaner()
    shown = cleaner.lines("x\n" * 1000)
    assert len(shown) == MAX_LINES + 1
    assert shown[-1].endswith("more of it is not shown")
    assert Cleaner().lines("no end" * 10_000) == []


def test_the_working_directory_is_not_imported_from(cli: Cli, tmp_path: Path) -> None:
    """`python -c` and `-m` would have it in front of everything."""
    for name in ("safetensors", "scipy", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')\n")
    done = started("inspect", cli.model, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
