"""The commands `undoor fleet scan`, `watch` and `status`: many models at once."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.data_options import SampleOptions
from undoor.cli.exit_codes import ExitCode
from undoor.cli.fleet_options import FleetOptions, shared_options
from undoor.cli.fleet_work import Examination, fleet_folder
from undoor.cli.model_options import DescriptionOptions
from undoor.cli.repair_options import RepairOptions
from undoor.cli.reports import GateOptions, ReportOptions
from undoor.cli.runs import BudgetOptions
from undoor.cli.scan_options import ScanOptions
from undoor.cli.show_fleet import show_fleet
from undoor.cli.usage import Group

POLL_SECONDS = 60.0
EXIT_CODES = (
    "that of the worst model, from bad to worse: 0 no backdoor found, 2 inconclusive, 1 backdoored "
    "(and with --repair repaired), 5 a poor repair, 6 a budget ended before a repair; see --fail-on"
)


class FleetGroup(Group):
    """Commands of which `scan` may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Put `scan` in front of what is neither a command nor a question for help."""
        known = {*self.commands, "--help", "-h"}
        return super().parse_args(ctx, args if not args or args[0] in known else ["scan", *args])


fleet = typer.Typer(
    cls=FleetGroup,
    help="Many models at once: scan or repair them, watch for new ones, show how far a fleet is.",
    no_args_is_help=True,
)
app.add_typer(fleet, name="fleet")

Models = Annotated[
    list[str] | None,
    typer.Argument(
        help="Models, folders of models, patterns ('zoo/*'), OCI layouts, caches of Hugging Face, "
        "and tables in CSV or TOML.",
        metavar="MODELS...",
    ),
]
Where = Annotated[
    str,
    typer.Argument(help="The --out folder of a fleet, a .parquet file or the URL of a database."),
]
Every = Annotated[
    float,
    typer.Option(
        "--every", help="Seconds from one look for new models to the next.", min=0.0, metavar="S"
    ),
]
Rounds = Annotated[
    int | None,
    typer.Option(help="Look so often, then end; without it, until Ctrl-C.", min=1, metavar="N"),
]


@command(
    fleet,
    examples=[
        "undoor fleet scan zoo/ --data clean/ --out fleet/ --workers 4",
        "undoor fleet scan models.csv --out fleet/ --repair --store sqlite:///fleet.db",
        "undoor fleet scan 'models/*/model.toml' --data test.npz --out fleet/ --ray auto",
    ],
    exit_codes=EXIT_CODES,
)
def scan(
    options: FleetOptions,
    model: DescriptionOptions,
    data: SampleOptions,
    search: ScanOptions,
    fixing: RepairOptions,
    limits: BudgetOptions,
    reports: ReportOptions,
    gate: GateOptions,
    models: Models = None,
) -> CommandResult:
    """Scan many models, and with --repair repair them; `scan` itself may be left out.

    Each model is examined by a process of its own, as `undoor scan` and `undoor repair` do it. What
    is finished is not done again: the same command goes on where an earlier one ended.
    """
    shared = shared_options(options, model, data, search, fixing, limits)
    with fleet_folder(options.out):
        return Examination(options, tuple(models or ()), shared, reports, gate).result()


@command(
    fleet,
    examples=[
        "undoor fleet watch incoming/ --data clean/ --out fleet/",
        "undoor fleet watch --mlflow sqlite:///mlflow.db --data clean/ --out fleet/ --every 600",
    ],
    exit_codes=f"as of `scan`, with --rounds; {EXIT_CODES}",
)
def watch(
    options: FleetOptions,
    model: DescriptionOptions,
    data: SampleOptions,
    search: ScanOptions,
    fixing: RepairOptions,
    limits: BudgetOptions,
    reports: ReportOptions,
    gate: GateOptions,
    models: Models = None,
    every: Every = POLL_SECONDS,
    rounds: Rounds = None,
) -> CommandResult:
    """Look for new models again and again, and examine them as they appear."""
    shared = shared_options(options, model, data, search, fixing, limits)
    work = Examination(options, tuple(models or ()), shared, reports, gate, watching=True)
    with fleet_folder(options.out):
        for done in count(1):
            found = work.result()
            if done == rounds:
                break
            time.sleep(every)
    return found


@command(
    fleet,
    examples=["undoor fleet status fleet/", "undoor fleet status sqlite:///fleet.db --json"],
    exit_codes="0 shown",
)
def status(where: Where) -> CommandResult:
    """Show the models of a fleet: those with a result, those at work, those that wait."""
    from undoor.fleet.fleet import Fleet
    from undoor.fleet.store import read_store
    from undoor.fleet.stored_models import is_store

    found = read_store(where) if is_store(where) else Fleet.load(Path(where))
    return CommandResult(
        ExitCode.CLEAN, found.to_json(), lambda console: show_fleet(console, found)
    )
