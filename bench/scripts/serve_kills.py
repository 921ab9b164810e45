"""Kill workers of a service under load: what was answered as kept is kept, the rest is counted.

python bench/scripts/serve_kills.py GUARDED.onnx RESULT.json [KILLS]
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

import onnxruntime

CLIENTS, WORKERS, KEEP = 8, 2, 1_000_000
ADDRESS = re.compile(r"serving (\S+) at (http\S+)")
STARTED = "Started server process"


def main(guarded: Path, result: Path, kills: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "flags.sqlite"
        command = ["undoor", "serve", str(guarded), "--port", "0", "--workers", str(WORKERS)]
        command += ["--keep-flagged", str(KEEP), "--database", f"sqlite:///{database}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
            record = under_load(service, out_of_range(guarded), kills)
            service.terminate()
            service.wait()
        numbers = record.pop("kept")
        with closing(sqlite3.connect(database)) as opened:
            there = {row[0] for row in opened.execute("SELECT id FROM undoor_flagged")}
        record["acknowledged"] = len(numbers)
        record["acknowledged_twice"] = len(numbers) - len(set(numbers))
        record["acknowledged_and_not_there"] = len(set(numbers) - there)
    result.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record))


def out_of_range(guarded: Path) -> bytes:
    """A request with one input that is flagged, whatever the model."""
    (given,) = onnxruntime.InferenceSession(str(guarded)).get_inputs()
    row: Any = 1e9
    for side in reversed(given.shape[1:]):
        row = [row] * side
    return json.dumps({"rows": [row]}).encode()


def under_load(service: subprocess.Popen[str], body: bytes, kills: int) -> dict[str, Any]:
    lines: list[str] = []
    assert service.stderr is not None
    threading.Thread(target=lambda: lines.extend(service.stderr or ()), daemon=True).start()
    while not (found := ADDRESS.search("".join(lines))) or not any(STARTED in x for x in lines):
        time.sleep(0.1)
    statuses: Counter[str] = Counter()
    kept: list[int] = []
    over = threading.Event()
    clients = [
        threading.Thread(target=client, args=(f"{found[2]}/classify", body, statuses, kept, over))
        for _ in range(CLIENTS)
    ]
    for thread in clients:
        thread.start()
    killed = 0
    draw = random.Random(0)
    while killed < kills:
        time.sleep(draw.uniform(0.2, 2))
        alive = [number for number in workers(lines) if Path(f"/proc/{number}").exists()]
        if len(alive) == WORKERS:
            os.kill(draw.choice(alive), signal.SIGKILL)
            killed += 1
    over.set()
    for thread in clients:
        thread.join()
    return {"kills": killed, "clients": CLIENTS, "statuses": dict(statuses), "kept": kept}


def workers(lines: list[str]) -> list[int]:
    """The processes that said that they serve."""
    return [json.loads(line)["process"] for line in lines if STARTED in line]


def client(
    url: str, body: bytes, statuses: Counter[str], kept: list[int], over: threading.Event
) -> None:
    while not over.is_set():
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                number = json.load(answer)["results"][0]["kept"]
                statuses[str(answer.status)] += 1
                kept.extend([] if number is None else [number])
        except urllib.error.HTTPError as error:
            statuses[str(error.code)] += 1
        except (OSError, ValueError, HTTPException):
            # The worker that had taken it was killed.
            statuses["lost"] += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 50)
