"""One round of a fleet: find its models, examine them, write what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from undoor.cli.command import CommandResult
from undoor.cli.console import say
from undoor.cli.exit_codes import ExitCode, worst
from undoor.cli.fleet_options import FleetOptions, jobs_of
from undoor.cli.output import output_folder
from undoor.cli.reports import DEFAULT, GateOptions, ReportOptions
from undoor.cli.show import show_files
from undoor.cli.show_fleet import show_fleet, watched
from undoor.fleet.worker import warm
from undoor.render.text import plain

if TYPE_CHECKING:
    from undoor.fleet.entry import FleetEntry
    from undoor.fleet.fleet import Fleet
    from undoor.fleet.job import Job, Value
    from undoor.fleet.mlflow_models import MlflowModels

# At least so many seconds from one state of the fleet on disk to the next.
EVERY = 2.0
PAGE, JUNIT, SARIF = "index.html", "fleet.junit.xml", "fleet.sarif"


@contextmanager
def fleet_folder(out: Path) -> Iterator[None]:
    """Reserve the folder of a fleet for this run, as `output_folder` does for one model."""
    try:
        with output_folder(out):
            yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; finished models and steps are saved in {out}, and the same command "
            "resumes from there"
        ) from None


@dataclass(frozen=True)
class Examination:
    """What a fleet is asked for.

    Attributes
    ----------
    options
        Where its models are, and by how many processes they are examined.
    models
        As given on the command line.
    shared
        Options that hold for every model.
    reports, gate
        Formats of reports, and which verdicts end the command with another code than 0.
    watching
        Whether models may still appear.
    """

    options: FleetOptions
    models: tuple[str, ...]
    shared: dict[str, Value]
    reports: ReportOptions
    gate: GateOptions
    watching: bool = False

    @cached_property
    def registry(self) -> MlflowModels | None:
        """The registry with further models; None where there is none."""
        from undoor.fleet.mlflow_models import MlflowModels

        return None if self.options.mlflow is None else MlflowModels(self.options.mlflow)

    def result(self) -> CommandResult:
        """Examine the models that are there now."""
        from undoor.cli import helper_main, main
        from undoor.fleet.results import Results
        from undoor.fleet.run import Plan, examine

        if self.options.ray is None:
            # Before this process imports the same.
            warm()
        self.options.check()
        formats, jobs = tuple(self.reports.formats(self.options.out)), self._jobs()
        out, options = self.options.out, self.options
        with closing(options.pool()) as pool, self._noting() as note:
            plan = Plan(
                main,
                helper_main,
                pool,
                options.threads,
                options.spread,
                options.retries,
                formats,
                note,
            )
            entries = examine(jobs, Results(out), plan)
        code = self._code(entries)
        fleet = self._fleet(entries, code)
        files = self._write(fleet)

        def show(console: Console) -> None:
            show_fleet(console, fleet)
            show_files(console, files)

        return CommandResult(code, fleet.to_json(), show)

    def _jobs(self) -> list[Job]:
        from undoor.fleet.results import Results

        downloads = Results(self.options.out).downloads
        registered = []
        if self.registry is not None:
            known = self.registry.guarded
            registered = self.registry.fetched(downloads)
            for name in self.registry.guarded:
                if name not in known:
                    say(f"{plain(name)}: guarded already, as its file says; it is not examined")
        return jobs_of(
            self.options,
            self.models,
            self.shared,
            registered=registered,
            watching=self.watching,
        )

    @contextmanager
    def _noting(self) -> Iterator[Callable[[FleetEntry], None]]:
        """Yield what takes every change: it is shown, and now and then written."""
        entries: dict[str, FleetEntry] = {}
        last = -EVERY
        with watched(entries) as show:

            def note(entry: FleetEntry) -> None:
                nonlocal last
                entries[entry.name] = entry
                show(entry)
                if time.monotonic() - last >= EVERY:
                    # Where there is no room for this, there may be for the end.
                    with suppress(OSError):
                        self._fleet(list(entries.values()), None).save(self.options.out)
                    last = time.monotonic()

            try:
                yield note
            except KeyboardInterrupt:
                left = [_interrupted(entry) for entry in entries.values()]
                with suppress(OSError):
                    self._fleet(left, None).save(self.options.out)
                raise

    def _fleet(self, entries: Sequence[FleetEntry], code: int | None) -> Fleet:
        from undoor.fleet.fleet import Fleet

        return Fleet.of(entries, self.options.verb, code)

    def _code(self, entries: Sequence[FleetEntry]) -> ExitCode:
        """Return the exit code of the worst model."""
        return worst(
            self.gate.code(entry.verdict, poor=entry.exit_code == ExitCode.POOR_REPAIR)
            if entry.verdict is not None
            else ExitCode(entry.exit_code or ExitCode.FAILURE)
            for entry in entries
        )

    def _write(self, fleet: Fleet) -> list[Path]:
        """Write the result of the fleet in all its forms, and return the files."""
        from undoor.files import write_text
        from undoor.fleet.store import write_store
        from undoor.render.fleet_page import fleet_page
        from undoor.render.fleet_reports import fleet_junit, fleet_sarif
        from undoor.render.reports import REPORTS

        out = self.options.out
        texts = {
            PAGE: fleet_page(fleet),
            JUNIT: fleet_junit(fleet, out),
            SARIF: fleet_sarif(fleet, out),
        }
        for name, text in texts.items():
            write_text(out / name, text)
        file = fleet.save(out)
        for where in self.options.store or ():
            write_store(where, fleet, out)
        if self.registry is not None:
            self.registry.tag(fleet.entries, out, REPORTS[DEFAULT].file)
        return [file, *(out / name for name in texts)]


def _interrupted(entry: FleetEntry) -> FleetEntry:
    """Return the entry once its process has ended: what was at work waits."""
    return replace(entry, state="waiting") if entry.state == "running" else entry
