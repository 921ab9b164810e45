"""Progress off a terminal, estimates, and how much memory is free."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from helpers.cli_fakes import Cli
from helpers.tiny import clean_images, toy_classifier
from undoor.cli import available_memory as module
from undoor.cli.available_memory import available_memory
from undoor.cli.progress import EVERY, Lines
from undoor.cli.runs import RunOptions
from undoor.errors import UndoorError
from undoor.progress import FAMILIES, PASSES, SECONDS
from undoor.render.documents import DOCUMENTS

GB = 10**9


def test_a_line_a_minute_at_most() -> None:
    told: list[str] = []
    now = 0.0
    lines = Lines(told.append, lambda: now)
    lines.update(FAMILIES, 2, 13)
    for second in range(0, 300, 5):
        now = float(second)
        lines.update("inverting patch triggers", second, 360)
        lines.update(PASSES, second, 400)
        lines.update(SECONDS, second, 400)
    assert len(told) == 300 / EVERY
    assert told[0] == "inverting patch triggers, family 3 of 13"
    assert told[1] == "inverting patch triggers, family 3 of 13, 14% done, about 6 minutes left"


def test_a_stage_of_which_nothing_is_known() -> None:
    told: list[str] = []
    Lines(told.append, lambda: 0.0).update("evaluate", 0, 1)
    assert told == ["evaluate ..."]


@pytest.mark.parametrize("command", ["scan", "repair"])
def test_an_estimate_does_nothing(cli: Cli, command: str) -> None:
    options = ("--estimate", "--json", "--out", cli.out)
    result = cli.run(command, cli.model, "--data", cli.data, *options)
    assert result.exit_code == 0, result.stderr
    found = DOCUMENTS["estimate"].model_validate_json(result.stdout).model_dump()
    assert found["scan_passes"] > 1000
    assert (found["repair_passes"] > 0) == (command == "repair")
    assert found["seconds"] > 0
    assert found["measured_passes"] > 0
    assert found["memory"] > 0
    assert cli.calls == []
    assert not cli.out.exists()
    assert json.loads(result.stdout)["passes"] == found["passes"]


def test_an_estimate_says_what_its_speed_was_measured_over(cli: Cli) -> None:
    shown = " ".join(cli.scan("--estimate").stdout.split())
    assert re.search(r"[\d,]+ passes per second, as measured over \d+ of them just now", shown)


def system(root: Path, available: int, groups: str, files: dict[str, str]) -> Path:
    whole = files | {
        "proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {available // 1024} kB\n",
        "proc/self/cgroup": groups,
    }
    for name, text in whole.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_available_memory_of_the_machine(tmp_path: Path) -> None:
    assert available_memory(system(tmp_path, 4 * 2**30, "0::/\n", {})) == 4 * 2**30
    assert available_memory(tmp_path / "nothing") is None


@pytest.mark.parametrize("inside", [True, False])
def test_the_limit_of_a_group_counts(tmp_path: Path, inside: bool) -> None:
    """Also that of a group above, and of a container, whose own group is at the top."""
    top = "sys/fs/cgroup/" + ("" if inside else "a/")
    files = {
        f"{top}memory.max": str(2 * GB),
        f"{top}memory.current": str(GB),
        f"{top}memory.stat": f"anon 5\ninactive_file {GB // 2}\n",
    }
    if not inside:
        files["sys/fs/cgroup/a/b/memory.max"] = "max\n"
    assert available_memory(system(tmp_path, 8 * GB, "0::/a/b\n", files)) == 3 * GB // 2


def test_the_first_version_of_groups(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/memory/job"
    files = {
        f"{folder}/memory.limit_in_bytes": str(GB),
        f"{folder}/memory.usage_in_bytes": str(GB // 4),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "7",
    }
    root = system(tmp_path, 8 * GB, "5:cpu:/x\n4:memory:/job\n", files)
    assert available_memory(root) == 3 * GB // 4


def test_half_of_what_is_free_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    model, clean = toy_classifier(backdoored=True), clean_images()
    held = 500 * 10**6
    monkeypatch.setattr("undoor.cli.memory.resident", lambda: held)
    seen = {}
    for free in (100 * GB, 2 * GB, None):
        monkeypatch.setattr(module, "available_memory", lambda free=free: free)
        seen[free] = RunOptions().bounded(model, clean).capacity
    assert seen[100 * GB] is None
    assert seen[None] is None
    monkeypatch.setattr(module, "available_memory", lambda: 10**6)
    with pytest.raises(UndoorError, match="--memory: expected"):
        RunOptions().bounded(model, clean)
    wide = toy_classifier(backdoored=True)
    monkeypatch.setattr("undoor.inversion.capacity.memory_of", lambda *_, **__: 10 * GB)
    monkeypatch.setattr(module, "available_memory", lambda: 4 * GB)
    assert RunOptions().bounded(wide, clean).capacity is not None


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)
