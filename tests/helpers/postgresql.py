"""A PostgreSQL server for tests, where one is installed or at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Where a server is at hand, such as postgresql://user@localhost/name.
POSTGRESQL = "UNDOOR_TEST_POSTGRESQL"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URL of the server at hand, or of one in a folder, where Debian's package is installed.

    Skips the test where there is neither.
    """
    if given := os.environ.get(POSTGRESQL):
        yield given
        return
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not homes or not shutil.which("runuser"):
        pytest.skip(f"no PostgreSQL is installed and {POSTGRESQL} is not set")
    data = folder / "pg"
    data.mkdir()
    folder.chmod(0o755)
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        for place in (folder, *folder.parents[:3]):
            place.chmod(place.stat().st_mode | 0o055)
        shutil.chown(data, "postgres")

    def run(name: str, *options: str) -> None:
        command = [*as_user, str(homes[-1] / name), "-D", str(data), *options]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    run("initdb", "-U", "undoor", "-A", "trust", "--no-sync")
    where = f"-c listen_addresses= -k {data}"
    run("pg_ctl", "-w", "-l", str(data / "log"), "-o", where, "start")
    try:
        yield f"postgresql://undoor@/postgres?host={data}"
    finally:
        run("pg_ctl", "-m", "immediate", "stop")
