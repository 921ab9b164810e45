"""The loop of a fleet: who is examined next, what came of it, and what was lost on the way."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from undoor.errors import UndoorError
from undoor.files import FULL
from undoor.fleet.digests import Digests
from undoor.fleet.entry import FleetEntry
from undoor.fleet.job import Job
from undoor.fleet.pool import Pool
from undoor.fleet.results import BUDGETS, Results
from undoor.fleet.worker import Call, Main
from undoor.vocabulary import CLAIMS_FOLDER, RUN_FOLDER

FAILURE = 4
# How often a model is begun again whose process was lost before it finished a further step.
DEFAULT_RETRIES = 4
# What every model is reported as, beside what is asked for: the fleet puts these together.
REPORTS = ("html", "sarif", "junit")


def ignore(entry: FleetEntry, /) -> None:
    """Ignore the entry."""


@dataclass(frozen=True)
class Plan:
    """How a fleet is examined.

    Attributes
    ----------
    main
        The command line of undoor.
    helper_main
        What searches one model ahead, with several processes.
    pool
        What runs it.
    threads
        How many threads each process computes with.
    spread
        How many processes search one model; they find what one would find.
    retries
        How often a model is begun again whose process was lost before it finished a further step.
    reports
        Formats of reports, beside those that the fleet puts together.
    changed
        Is called with every entry that has changed.
    """

    main: Main
    helper_main: Main
    pool: Pool
    threads: int = 1
    spread: int = 1
    retries: int = DEFAULT_RETRIES
    reports: tuple[str, ...] = ()
    changed: Callable[[FleetEntry], None] = ignore


@dataclass(eq=False)
class Turn:
    """A call for one job that is to be made, again where its process is lost.

    Attributes
    ----------
    helper
        Which of several processes it is that search ahead; None for the one that decides.
    losses
        How many processes in a row were lost before a further step was finished.
    steps
        Finished steps when the last of them was lost.
    """

    job: Job
    key: str
    helper: int | None = None
    losses: int = 0
    steps: int = 0


def examine(jobs: Sequence[Job], results: Results, plan: Plan) -> list[FleetEntry]:
    """Examine the models of a fleet and return their entries, in the order of the jobs.

    What an earlier run has finished is not done again. Models with the same digest are examined
    once. The entries do not depend on the number of workers.

    Parameters
    ----------
    jobs
        The models, of different names.
    results
        Where their results stand.
    plan
        How they are examined.

    Raises
    ------
    OSError
        A result cannot be written.
    """
    return _Examination(jobs, results, plan).run()


@dataclass(eq=False)
class _Examination:
    jobs: Sequence[Job]
    results: Results
    plan: Plan
    digests: Digests = field(init=False)
    entries: dict[str, FleetEntry] = field(default_factory=dict)
    # By digest, all jobs that have it; the first is examined.
    alike: dict[str, list[Job]] = field(default_factory=dict)
    ready: deque[Turn] = field(default_factory=deque)
    running: dict[Future[int], Turn] = field(default_factory=dict)
    # By digest, how many processes still search ahead.
    ahead: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.digests = Digests(self.plan.threads)

    def run(self) -> list[FleetEntry]:
        self._sort()
        while self.ready or self.running:
            while self.ready and len(self.running) < self.plan.pool.workers:
                self._start(self.ready.popleft())
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in done:
                self._ended(self.running.pop(future), future)
        return [self.entries[job.name] for job in self.jobs]

    def _sort(self) -> None:
        """Take what is stored or cannot be read, and make the rest ready."""
        with ThreadPoolExecutor(self.plan.pool.workers) as threads:
            keys = threads.map(self._key, self.jobs)
            for job, key in zip(self.jobs, keys, strict=True):
                if isinstance(key, UndoorError):
                    self._note(FleetEntry.of(job).failed(str(key), FAILURE))
                    continue
                self.alike.setdefault(key, []).append(job)
                self._note(FleetEntry.of(job, key))
        for key, (job, *_) in self.alike.items():
            if entry := self.results.stored(job, key):
                self._finish(key, entry)
            else:
                self.ready.extend(self._turns(job, key))

    def _key(self, job: Job) -> str | UndoorError:
        if job.problem is not None:
            return UndoorError(job.problem)
        try:
            return self.digests.key(job)
        except UndoorError as error:
            return error

    def _turns(self, job: Job, key: str) -> Iterator[Turn]:
        limited = any(name in job.options for name in BUDGETS)
        # A budget ends one search where it stands; several would each have gone on.
        if self.plan.spread > 1 and not limited:
            shutil.rmtree(
                self.results.folder(job, key) / RUN_FOLDER / CLAIMS_FOLDER, ignore_errors=True
            )
            self.ahead[key] = self.plan.spread
            yield from (Turn(job, key, helper) for helper in range(self.plan.spread))
        else:
            yield Turn(job, key)

    def _start(self, turn: Turn) -> None:
        output, log = self.results.files(turn.job, turn.key)
        arguments = (*turn.job.arguments, "--out", str(self.results.folder(turn.job, turn.key)))
        if turn.helper is None:
            main, formats = self.plan.main, dict.fromkeys([*REPORTS, *self.plan.reports])
            arguments = (*arguments, "--report", ",".join(formats), "--json")
        else:
            main, repair = self.plan.helper_main, ("--repair",) * (turn.job.verb == "repair")
            arguments = (*arguments[1:], *repair, "--helper", str(turn.helper))
            output, log = (file.with_stem(f"{file.stem}-{turn.helper}") for file in (output, log))
        call = Call(arguments, output, log, self.plan.threads)
        self._each(turn.key, lambda entry: replace(entry, state="running"))
        self.running[self.plan.pool.submit(main, call)] = turn

    def _ended(self, turn: Turn, future: Future[int]) -> None:
        try:
            code = future.result()
            if code < 0 and self._again(turn):
                self.ready.appendleft(turn)
            elif turn.helper is not None:
                self._helper_ended(turn)
            else:
                self._finish(turn.key, self._read(turn, code))
        except OSError as error:
            way = "free some space" if error.errno in FULL else "check the path"
            entry = FleetEntry.of(turn.job, turn.key)
            self._finish(turn.key, entry.failed(f"{error}; {way} and run it again", FAILURE))

    def _again(self, turn: Turn) -> bool:
        """Return whether to begin again what was lost; count it unless it came further."""
        steps = _finished_steps(self.results.folder(turn.job, turn.key))
        turn.losses = 1 if steps > turn.steps else turn.losses + 1
        turn.steps = max(steps, turn.steps)
        return turn.losses <= self.plan.retries

    def _helper_ended(self, turn: Turn) -> None:
        """Let the process that decides begin, which searches whatever its helpers did not."""
        self.ahead[turn.key] -= 1
        if not self.ahead[turn.key]:
            self.ready.appendleft(Turn(turn.job, turn.key))

    def _read(self, turn: Turn, code: int) -> FleetEntry:
        entry = self.results.read(turn.job, turn.key, code)
        if self._key(turn.job) != turn.key:
            message = "its files changed while it was examined; run the same command again"
            return FleetEntry.of(turn.job, turn.key).failed(message, FAILURE)
        return entry

    def _finish(self, key: str, entry: FleetEntry) -> None:
        self._each(key, lambda own: replace(entry, name=own.name, model=own.model, data=own.data))

    def _each(self, key: str, change: Callable[[FleetEntry], FleetEntry]) -> None:
        for job in self.alike[key]:
            self._note(change(self.entries[job.name]))

    def _note(self, entry: FleetEntry) -> None:
        self.entries[entry.name] = entry
        self.plan.changed(entry)


def _finished_steps(folder: Path) -> int:
    """Return how many steps of an unfinished examination are stored."""
    return sum(1 for _ in (folder / RUN_FOLDER).glob("*.npz"))
