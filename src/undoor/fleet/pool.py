"""Where the calls of a fleet are made: on this machine, or by Ray on a cluster."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Protocol

from undoor.errors import UndoorError, first_line
from undoor.extras import how_to_install
from undoor.fleet.worker import Call, Main, kill_all, run


class Pool(Protocol):
    """What runs calls, as many at a time as it has workers."""

    @property
    def workers(self) -> int:
        """How many calls run at a time, as far as that is known."""

    def submit(self, main: Main, call: Call) -> Future[int]:
        """Run a call when a worker is free; the future holds its exit code."""

    def close(self) -> None:
        """End all calls that run, and let none begin."""


class LocalPool:
    """Processes on this machine.

    Parameters
    ----------
    workers
        How many at a time, at least 1.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._closed = False
        # Threads wait for processes; they compute nothing.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="undoor-fleet")

    def submit(self, main: Main, call: Call) -> Future[int]:
        """Run a call when a worker is free; the future holds its exit code."""
        return self._threads.submit(self._run, main, call)

    def _run(self, main: Main, call: Call) -> int:
        if self._closed:
            raise CancelledError
        return run(main, call)

    def close(self) -> None:
        """Kill all processes, and let none begin."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        kill_all()
        self._threads.shutdown(wait=True)


class RayPool:
    """Tasks of a Ray cluster, whose machines see the same files under the same paths.

    Parameters
    ----------
    address
        Of the cluster; "auto" for the one of this machine's environment, "local" for a new one on
        this machine.
    threads
        CPUs that each task takes.

    Raises
    ------
    UndoorError
        Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str, threads: int) -> None:
        try:
            import ray
        except ImportError:
            raise UndoorError(
                f"--ray needs a library that is not installed (ray); {how_to_install('ray')}"
            ) from None
        self._ray: Any = ray
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise UndoorError(
                f"--ray {address}: no Ray cluster answers there ({reason}); start one with `ray "
                "start --head`, or give its address"
            ) from error
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        # A task whose machine is lost begins again elsewhere, and goes on from what was saved.
        self._run = ray.remote(num_cpus=threads, max_retries=-1)(run)

    def submit(self, main: Main, call: Call) -> Future[int]:
        """Run a call on a machine of the cluster; the future holds its exit code."""
        found: Future[int] = self._run.remote(main, call).future()
        return found

    def close(self) -> None:
        """Leave the cluster, which ends the tasks of this driver."""
        self._ray.shutdown()
