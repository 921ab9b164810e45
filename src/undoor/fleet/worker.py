"""One command in a process of its own, which takes nobody with it when it dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

# A command of undoor: reads its arguments from `sys.argv` and ends with its exit code.
Main = Callable[[], None]
# Where a new process is a copy of one that has imported everything; elsewhere it imports anew.
METHOD: Final = "forkserver" if sys.platform == "linux" else "spawn"
# What multiprocessing says of a process whose end it was not told, as its starter is gone.
UNKNOWN: Final = 255
# Until the system tells that a killed process is gone, whose files were closed before.
GONE_SECONDS: Final = 1.0
PRELOADED: Final = "undoor.fleet.preloaded"
# Processes are started, and their ends are read, by one thread at a time.
_lock = threading.Lock()
_running: set[BaseProcess] = set()


@dataclass(frozen=True)
class Call:
    """A command to run.

    Attributes
    ----------
    arguments
        Behind the name of the program.
    output, log
        The files for its stdout and its stderr.
    threads
        How many threads PyTorch computes with.
    """

    arguments: tuple[str, ...]
    output: Path
    log: Path
    threads: int = 1


def warm() -> None:
    """Begin to import what processes need, in the process that they will be copies of."""
    if METHOD == "forkserver":
        with _lock:
            forkserver.set_forkserver_preload([PRELOADED])
            forkserver.ensure_running()


def run(main: Main, call: Call) -> int:
    """Run a command in a new process and return its exit code; -N where signal N ended it.

    The process ends with the one that started it, however that ends.

    Raises
    ------
    OSError
        The files cannot be written, or no process can be started.
    """
    for file in (call.output, call.log):
        file.parent.mkdir(parents=True, exist_ok=True)
    warm()
    context: Any = multiprocessing.get_context(METHOD)
    with _lock:
        process: BaseProcess = context.Process(target=_work, args=(main, call), daemon=False)
        process.start()
        _running.add(process)
    try:
        wait([process.sentinel])
        with _lock:
            process.join()
            code = process.exitcode
    finally:
        with _lock:
            _running.discard(process)
    assert code is not None
    return code if code != UNKNOWN else _killed(process)


def _killed(process: BaseProcess) -> int:
    """Kill a process whose starter is gone, and return the code of one that was killed."""
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    # Only then is another starter begun.
    time.sleep(GONE_SECONDS)
    return -signal.SIGKILL


def kill_all() -> None:
    """Kill every process that this one has started; what they saved stays."""
    with _lock:
        for process in _running:
            process.kill()


def _work(main: Main, call: Call) -> None:
    """Be the command: from here on, the process is one that a shell could have started."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    # Of Ctrl-C at the terminal the process that started this one learns as well, and decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect(1, call.output)
    _redirect(2, call.log)
    import torch

    torch.set_num_threads(call.threads)
    sys.argv = ["undoor", *call.arguments]
    main()


def _follow(parent: BaseProcess) -> None:
    """End with the process that started this one."""
    parent.join()
    os._exit(1)


def _redirect(descriptor: int, file: Path) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(handle, descriptor)
    os.close(handle)
    stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if descriptor == 1:
        sys.stdout = stream
    else:
        sys.stderr = stream


def words_of(code: int) -> str:
    """Return how a process ended that was not ended by its command.

    >>> words_of(-9), words_of(-11)
    ('was killed (SIGKILL)', 'crashed (SIGSEGV)')
    """
    name = f"signal {-code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
    crashes: Sequence[str] = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS")
    return f"{'crashed' if name in crashes else 'was killed'} ({name})"
