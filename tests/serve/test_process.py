"""The command as a process, with real HTTP: one worker, several, hostile clients, the end."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import undoor
from helpers.made_repairs import make_repair
from helpers.served_process import Served, served_process, wait_for
from helpers.tiny import random_classifier

INSIDE, OUTSIDE = [0.5] * 8, [1e6] * 8
INFER = "/v2/models/guarded/infer"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = random_classifier("mlp")
    folder = tmp_path_factory.mktemp("served")
    return undoor.export(model, make_repair(model), folder / "guarded.onnx").file


@pytest.fixture(scope="module")
def served(file: Path) -> Iterator[Served]:
    limits = ("--max-seconds", 2, "--max-body", 1, "--keep-flagged", 5)
    with served_process(file.parent, file, *limits) as made:
        yield made


def test_answers(served: Served, file: Path) -> None:
    status, answer = served.rows([INSIDE, OUTSIDE])
    assert status == 200
    inside, outside = answer["results"]
    assert outside["reason"] == "out of range"
    assert inside["reason"] in (None, "backdoor")
    # Kept before it was answered.
    with closing(sqlite3.connect(file.parent / "undoor-serve.sqlite")) as database:
        found = database.execute("SELECT id FROM undoor_flagged").fetchall()
    assert (outside["kept"],) in found


def test_a_body_of_a_gigabyte_is_refused_while_it_arrives(served: Served) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode())
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            while sent < 2**30:
                client.sendall(chunk)
                sent += 65536
        except OSError:
            pass  # it no longer listens
        assert sent < 2**26
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        # By its head alone.
        head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {2**30}\r\n\r\n"
        client.sendall(head.encode())
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert served.get("/v2/health/live")[0] == 200


def test_slow_clients_hold_nobody_up(served: Served) -> None:
    """Two heads that never end, one body that does not."""
    lazy = [socket.create_connection(("127.0.0.1", served.port), timeout=60) for _ in range(40)]
    try:
        for number, client in enumerate(lazy):
            kind = b"Content-Length: 99\r\n\r\n{" if number % 2 else b"X-Slow: "
            client.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\n".encode() + kind)
        assert served.rows([INSIDE])[0] == 200
        # A body has two seconds, a head ten.
        assert lazy[1].recv(1000).startswith(b"HTTP/1.1 408 ")
        assert lazy[0].recv(1000) == b""
    finally:
        for client in lazy:
            client.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_malformed_http(served: Served, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        try:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            answer = client.makefile("rb").read()
        except OSError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 5")
    assert served.get("/v2/health/live")[0] == 200
    assert not any(line.get("level") == "error" for line in served.logged)


def test_a_client_that_leaves_is_no_fault_of_the_service(served: Served) -> None:
    for path in (INFER, "/classify"):
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: 99\r\n\r\n{{".encode())
    wait_for(
        lambda: (
            'undoor_requests_total{route="/classify",status="400"} 1.0' in served.get("/metrics")[1]
        )
    )
    assert 'status="500"' not in served.get("/metrics")[1]
    assert not any(line.get("level") == "error" for line in served.logged)


def test_the_end_answers_what_was_accepted(file: Path, tmp_path: Path) -> None:
    # A batch waits for a second, in which the service is told to end.
    with served_process(tmp_path, file, "--max-delay-ms", 1000) as served:
        answers: list[tuple[int, Any]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(served.rows([INSIDE]))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        wait_for(lambda: "undoor_waiting_inputs 3.0" in served.get("/metrics")[1] or answers)
        assert served.end() == 0
        for thread in threads:
            thread.join()
    assert [status for status, _ in answers] == [200] * 3
    assert "Traceback" not in served.log


def workers(served: Served) -> set[int]:
    found = {
        line["process"] for line in served.logged if line["message"].startswith("Started server")
    }
    return {number for number in found if alive(number)}


def alive(number: int) -> bool:
    try:
        return not Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False


def test_several_workers(file: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'flags.sqlite'}"
    options = ("--workers", 2, "--keep-flagged", 1000, "--database", database)
    with served_process(tmp_path, file, *options) as served:
        wait_for(lambda: len(workers(served)) == 2)
        kept = []
        for _ in range(20):
            _, answer = served.rows([OUTSIDE])
            kept.append(answer["results"][0]["kept"])
        # Whichever worker is asked, all have been counted.
        for _ in range(6):
            page = served.get("/metrics")[1]
            assert 'undoor_flagged_total{reason="out of range",target=""} 20.0' in page

        killed = workers(served).pop()
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: len(workers(served)) == 2)
        answered = wait_for(lambda: served.rows([OUTSIDE])[1])
        kept.append(answered["results"][0]["kept"])
        # What was acknowledged as kept is there.
        with closing(sqlite3.connect(tmp_path / "flags.sqlite")) as opened:
            found = {row[0] for row in opened.execute("SELECT id FROM undoor_flagged")}
        assert set(kept) <= found
        assert len(set(kept)) == 21
        found_total = re.search(
            r'undoor_flagged_total{reason="out of range",target=""} (\S+)',
            served.get("/metrics")[1],
        )
        assert found_total
        assert float(found_total[1]) == 21
        assert served.end() == 0


@pytest.mark.slow
def test_a_model_that_changes_under_a_service(file: Path, tmp_path: Path) -> None:
    """A worker that is started later does not serve another one: the service ends, and says so."""
    own = tmp_path / "own.onnx"
    own.write_bytes(file.read_bytes())
    with served_process(tmp_path, own, "--workers", 2) as served:
        wait_for(lambda: len(workers(served)) == 2)
        own.write_bytes(file.read_bytes() + b"x")
        os.kill(workers(served).pop(), signal.SIGKILL)
        assert served.process.wait(120) == 4
    assert "the file has changed" in served.log
