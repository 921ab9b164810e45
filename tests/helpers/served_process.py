"""`undoor serve` as a process of its own, and requests to it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START = "import sys; from undoor.cli import main; sys.argv[0] = 'undoor'; main()"
ADDRESS = re.compile(r"^serving (\S+) at http://(\S+):(\d+)$", re.MULTILINE)
# A busy machine takes long to import what a service takes.
SECONDS = 120


class Served:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_for(lambda: ADDRESS.search(self.log) or process.poll() is not None)
        found = ADDRESS.search(self.log)
        assert found, self.log
        self.port = int(found[3])
        wait_for(lambda: self.get("/v2/health/ready")[0] == 200 or process.poll() is not None)
        assert process.poll() is None, self.log

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return "".join(self.lines)

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The JSON lines of the log."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 where there is no answer."""
        return self.ask(path)

    def ask(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """As `get`; a body is posted."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, dict(headers or {})
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def rows(self, rows: list[list[float]]) -> tuple[int, Any]:
        """Status and answer of `POST /classify`."""
        body = json.dumps({"rows": rows}).encode()
        status, text = self.ask("/classify", body, {"Content-Type": "application/json"})
        return status, json.loads(text) if text else None

    def end(self) -> int:
        """Tell it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code


@contextmanager
def served_process(folder: Path, *arguments: object) -> Iterator[Served]:
    """`undoor serve` with these arguments, on a free port."""
    command = [sys.executable, "-c", START, "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Served(process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()


def wait_for(found: Callable[[], Any]) -> Any:
    """Return what `found` returns as soon as it is true."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("it did not happen")
