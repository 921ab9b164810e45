"""Run a service in one process, or in several that share a socket."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import reduction
from typing import Any, TextIO

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from undoor.errors import UndoorError, UsageError
from undoor.files import why
from undoor.serve.logs import log_to
from undoor.serve.protocol import BoundedProtocol
from undoor.serve.served_model import Engine, warmed_up
from undoor.serve.settings import Settings

log = logging.getLogger("undoor.serve")

# As `undoor.serve.metrics.FOLDER`, which must be set before that module is imported.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 15
# After this, a service that is told to end no longer waits for clients.
GRACE_SECONDS = 60
# A worker that does not answer its supervisor for so long is replaced.
WORKER_CHECK_SECONDS = 20
MAX_WORKERS = 256
MAX_PORT = 65535


@dataclass(frozen=True)
class Address:
    """Where a service listens; port 0 takes any that is free."""

    host: str
    port: int


@dataclass(frozen=True)
class LogStream:
    """A stream that worker processes write to as well."""

    stream: TextIO

    def __reduce__(self) -> tuple[Callable[..., LogStream], tuple[Any]]:
        # What a command writes to is a descriptor of its own, which new processes do not have.
        return _log_stream, (reduction.DupFd(self.stream.fileno()),)


@dataclass(frozen=True)
class Worker:
    """Makes the application of one process; pickled for new ones.

    Attributes
    ----------
    load
        Returns the engine; refuses a model that has changed since the service was started.
    """

    load: Callable[[], Engine]
    settings: Settings
    log: LogStream

    def __call__(self) -> Any:
        """Return the ASGI application."""
        # Not before: what it imports reads the folder of the metrics from the environment.
        from undoor.serve.app import application

        log_to(self.log.stream)
        try:
            app = application(warmed_up(self.load()), self.settings)
        except UndoorError as error:
            # Where several workers serve, uvicorn ends them all for this code.
            if multiprocessing.parent_process() is None:
                raise
            log.error("a worker cannot be started", extra={"error": str(error)})
            sys.exit(STARTUP_FAILURE)
        if not self.settings.traces:
            return app
        from undoor.serve.traces import traced

        return traced(app)


def serve(
    worker: Worker, address: Address, workers: int, ready: Callable[[str, int], None]
) -> None:
    """Serve until the process is told to end, and answer what was accepted before.

    Parameters
    ----------
    worker
        Makes the application in each process.
    workers
        Processes; with 1 it is this one.
    ready
        Called with host and port once the socket is open and what the settings name was opened.

    Raises
    ------
    UndoorError
        The address cannot be used; or the database, that of the fleet, or the file of tokens.
    """
    if not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"expected 1 to {MAX_WORKERS} workers, got {workers}")
    _require_usable(worker.settings)
    with _listening(address) as listener, _ending_quietly():
        config = _config(worker, workers)
        host, port = listener.getsockname()[:2]
        log_to(worker.log.stream)
        ready(host, port)
        if workers == 1:
            uvicorn.Server(config).run(sockets=[listener])
            return
        with _metrics_folder():
            supervisor = Multiprocess(config, sockets=[listener])
            supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            raise UndoorError("a worker could not be started; the log says why")


def _require_usable(settings: Settings) -> None:
    """Open what each worker opens, so that none fails once the address is shown."""
    from undoor.fleet.stored_models import stored_models
    from undoor.serve.store import Store
    from undoor.serve.tokens import Tokens

    if settings.tokens is not None:
        Tokens.read(settings.tokens)
    if settings.fleet is not None:
        stored_models(settings.fleet)
    Store(settings.database).close()


def _config(worker: Worker, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        worker,
        factory=True,
        workers=workers,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=WORKER_CHECK_SECONDS,
    )


@contextmanager
def _listening(address: Address) -> Iterator[socket.socket]:
    if not 0 <= address.port <= MAX_PORT:
        raise UsageError(f"--port: expected 0 to {MAX_PORT}, got {address.port}")
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (address.host, address.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        raise UndoorError(
            f"cannot listen on {address.host} port {address.port}: {why(error)}; choose another "
            "--host or --port"
        ) from None
    with listener:
        listener.set_inheritable(True)
        yield listener


@contextmanager
def _ending_quietly() -> Iterator[None]:
    """Take SIGTERM and SIGINT for a wish, which uvicorn raises once more when it has ended."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _metrics_folder() -> Iterator[None]:
    """Let the workers count in one folder, which ends with the service."""
    if "prometheus_client" in sys.modules:
        log.warning("metrics of this process are not shared")
    with tempfile.TemporaryDirectory(prefix="undoor-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[METRICS_FOLDER]


def _log_stream(descriptor: Any) -> LogStream:
    stream = io.TextIOWrapper(
        io.FileIO(descriptor.detach(), "w"), encoding="utf-8", write_through=True
    )
    return LogStream(stream)
