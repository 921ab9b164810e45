"""Every hostile or broken file is refused: nothing runs, nothing crashes, nothing takes long."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.hostile import archived, broken, graphs, pickled

SECONDS = 60
MAX_MEMORY = 2 * 2**30
NET = "import torch\ndef net():\n    return torch.nn.Linear(3, 2, bias=False)\n"

# Runs in a process of its own: each file goes through both ways in which files are opened.
WORK = """
import json, resource, sys, time, traceback, warnings
from typer.testing import CliRunner
from undoor.cli import app
from undoor.errors import UndoorError
from undoor.load import load

def told(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    crash = result.exception
    if isinstance(crash, SystemExit) or crash is None:
        crash = None
    else:
        crash = "".join(traceback.format_exception(crash))
    return {"code": result.exit_code, "crash": crash, "said": result.output[-2000:]}

def loaded(file, net):
    try:
        load(file, architecture=net, input_shape=(3,))
    except UndoorError as error:
        return {"code": 4, "crash": None, "said": str(error)}
    except BaseException as error:
        return {"code": 1, "crash": traceback.format_exc(), "said": ""}
    return {"code": 0, "crash": None, "said": ""}

files, net = json.loads(sys.stdin.read())
answers = {}
for file in files:
    started = time.process_time()
    answers[file] = {
        "inspect": told("inspect", file, "--json"),
        "load": loaded(file, net),
        "seconds": time.process_time() - started,
    }
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"answers": answers, "peak": peak}))
"""


@dataclass(frozen=True)
class Ran:
    """What became of all files."""

    folder: Path
    canary: Path
    answers: dict[str, dict[str, Any]]
    peak: int


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("h")
    canary = folder / "canary"
    command = f"touch {canary}"
    files = [
        *pickled.write_all(folder, command),
        *archived.write_all(folder, command),
        *broken.write_all(folder),
        *graphs.write_all(folder, command),
    ]
    (folder / "net.py").write_text(NET)
    given = [[str(file) for file in files], f"{folder / 'net.py'}:net"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORK],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,  # Of a busy machine; `test_cost` counts what was computed.
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return Ran(folder, canary, found["answers"], found["peak"])


def test_there_are_enough(ran: Ran) -> None:
    assert len(ran.answers) >= 100


def test_nothing_ran(ran: Ran) -> None:
    assert not ran.canary.exists()


def test_nothing_crashed(ran: Ran) -> None:
    crashed = {
        (Path(file).name, way): answer[way]["crash"] or answer[way]["said"]
        for file, answer in ran.answers.items()
        for way in ("inspect", "load")
        if answer[way]["crash"] or "bug in undoor" in answer[way]["said"]
    }
    assert crashed == {}


def test_every_file_is_refused(ran: Ran) -> None:
    passed = [
        (Path(file).name, way, answer[way]["said"])
        for file, answer in ran.answers.items()
        for way in ("inspect", "load")
        if answer[way]["code"] != 4
    ]
    assert passed == []


def test_cost(ran: Ran) -> None:
    slow = {f: a["seconds"] for f, a in ran.answers.items() if a["seconds"] > SECONDS / 4}
    assert slow == {}
    assert ran.peak < MAX_MEMORY


def test_the_canary_sings(tmp_path: Path) -> None:
    """The payloads are real: opened by pickle itself, they touch the canary."""
    sung = []
    for name in (
        "reduced",
        "stack_global",
        "memo_confused",
        "instance",
        "broken_behind",
        "resolved",
    ):
        canary = tmp_path / name
        data = pickled.MAKERS[name](f"touch {canary}")
        code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
        subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=False)
        sung.append(canary.exists())
    assert all(sung)
