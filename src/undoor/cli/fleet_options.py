"""Options of `undoor fleet`: what holds for every model, and how a fleet works."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from undoor.cli.data_options import DATA_HELP, DATA_PANEL, SampleOptions
from undoor.cli.model_options import DescriptionOptions
from undoor.cli.repair_options import RepairOptions
from undoor.cli.runs import BudgetOptions, Memory
from undoor.cli.scan_options import ScanOptions
from undoor.cli.usage import in_our_words
from undoor.errors import UndoorError, UsageError

if TYPE_CHECKING:
    from undoor.fleet.job import Job, Value, Verb
    from undoor.fleet.pool import Pool
    from undoor.fleet.sources import Found

FLEET_PANEL = "Fleet"
MAX_WORKERS = 1024
# Groups of options that a row of a table may set as well; the last one for repairs alone.
GROUPS = (DescriptionOptions, SampleOptions, ScanOptions, BudgetOptions, RepairOptions)
ROW = ("name", "model", "data")


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """Options that say which models are examined, where, and by how many processes."""

    out: Annotated[
        Path, typer.Option(help="Folder for all results; each model has one in it.", metavar="DIR")
    ]
    data: Annotated[
        Path | None,
        typer.Option(
            help=f"{DATA_HELP} A table may name one for each model.",
            metavar="PATH",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Repair the models, too.", rich_help_panel=FLEET_PANEL),
    ] = False
    mlflow: Annotated[
        str | None,
        typer.Option(
            help="Examine the newest versions of the models registered with MLflow at this URI as "
            "well; tag them with their verdict, and attach their report.",
            metavar="URI",
            rich_help_panel=FLEET_PANEL,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            help="Models at a time, each in a process of its own. Default: one for each CPU.",
            min=1,
            max=MAX_WORKERS,
            metavar="N",
            rich_help_panel=FLEET_PANEL,
        ),
    ] = None
    threads: Annotated[
        int,
        typer.Option(
            help="Threads of each process.",
            min=1,
            max=MAX_WORKERS,
            metavar="N",
            rich_help_panel=FLEET_PANEL,
        ),
    ] = 1
    spread: Annotated[
        int,
        typer.Option(
            help="Let so many processes search each model, for few large ones: the result is the "
            "same.",
            min=1,
            max=MAX_WORKERS,
            metavar="N",
            rich_help_panel=FLEET_PANEL,
        ),
    ] = 1
    ray: Annotated[
        str | None,
        typer.Option(
            help="Let a Ray cluster do the work: auto for the one of this machine, or its "
            "address. All machines must see the same files.",
            metavar="ADDRESS",
            rich_help_panel=FLEET_PANEL,
        ),
    ] = None
    retries: Annotated[
        int,
        typer.Option(
            help="Begin a model again so often whose process was lost before it came further.",
            min=0,
            metavar="N",
            rich_help_panel=FLEET_PANEL,
        ),
    ] = 4
    store: Annotated[
        list[str] | None,
        typer.Option(
            help="Write the table to a file that ends in .parquet, or to a database "
            "(sqlite:///fleet.db, postgresql+psycopg://...); may be given several times.",
            metavar="WHERE",
            rich_help_panel=FLEET_PANEL,
        ),
    ] = None
    memory: Memory = None

    @property
    def verb(self) -> Verb:
        """The command that examines each model."""
        return "repair" if self.repair else "scan"

    def check(self) -> None:
        """Refuse a place for the table where none can be, before any work."""
        from undoor.fleet.store import require_store

        for where in self.store or ():
            try:
                require_store(where)
            except UndoorError as error:
                raise UsageError(f"--store: {error}") from None

    def pool(self) -> Pool:
        """Return what runs the processes."""
        from undoor.fleet.pool import LocalPool, RayPool

        if self.ray is None:
            return LocalPool(self.workers or os.cpu_count() or 1)
        if self.workers is not None:
            raise UsageError("expected --ray or --workers, got both; Ray uses the CPUs that it has")
        return RayPool(self.ray, self.threads)


def given_options(groups: Sequence[Any]) -> dict[str, Value]:
    """Return the options of groups that are not as by default, by their names."""
    out: dict[str, Value] = {}
    for group in groups:
        for field in fields(group):
            value = getattr(group, field.name)
            if value != field.default and value is not None:
                out[field.name] = str(value) if isinstance(value, Path) else value
    return out


def shared_options(
    options: FleetOptions,
    model: DescriptionOptions,
    data: SampleOptions,
    search: ScanOptions,
    fixing: RepairOptions,
    limits: BudgetOptions,
) -> dict[str, Value]:
    """Return the options that hold for every model of a fleet.

    Raises
    ------
    UsageError
        One holds for repairs alone, or trusts code beyond this fleet.
    """
    of_repair = given_options([fixing])
    if of_repair and not options.repair:
        raise UsageError(f"--{min(of_repair).replace('_', '-')}: expected --repair as well; add it")
    if model.remember_code:
        raise UsageError("--remember-code: a fleet remembers no trust; give --trust-code")
    own = {} if options.memory is None else {"memory": options.memory}
    return given_options([model, data, search, limits]) | of_repair | own


def jobs_of(
    options: FleetOptions,
    models: Sequence[str],
    shared: Mapping[str, Value],
    *,
    registered: Sequence[Found] = (),
    watching: bool = False,
) -> list[Job]:
    """Return the jobs that models and tables stand for.

    Every row is checked before any work.

    Parameters
    ----------
    options
        Of the fleet.
    models
        Paths, folders, patterns and tables.
    shared
        Options that hold for every model, unless its row says otherwise.
    registered
        Models of a registry.
    watching
        Whether models may still appear, so that there need not be one.

    Raises
    ------
    UsageError
        There is no model, a name stands there twice, data are missing, or an option is wrong.
    """
    from undoor.fleet.results import Results
    from undoor.fleet.sources import find_models, parts_of
    from undoor.fleet.table import is_table, read_table

    try:
        tables = [model for model in models if is_table(Path(model))]
        rows = [row for table in tables for row in read_table(Path(table))]
        others = [model for model in models if model not in tables]
        found = find_models(others, Results(options.out).downloads, may_be_empty=watching)
    except UndoorError as error:
        raise UsageError(str(error)) from None
    found += registered
    if not rows and not found and not watching:
        raise UsageError("expected MODELS or --mlflow, got no model to examine; name some models")
    parts = {row["model"]: parts_of(Path(str(row["model"]))) for row in rows}
    parts |= {item.path: item.parts for item in found}
    rows += [{"model": item.path} for item in found]
    names = _names(rows, parts)
    return [_job(options, row, name, shared) for row, name in zip(rows, names, strict=True)]


def _names(
    rows: Sequence[Mapping[str, Value]], parts: Mapping[Value, tuple[str, ...]]
) -> list[str]:
    """Return the names of rows: those given, and for the others some made of their paths."""
    from undoor.fleet.sources import distinct

    given = [str(row["name"]) for row in rows if "name" in row]
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise UsageError(f"expected models of different names, got {twice[0]!r} twice; rename one")
    made = distinct([parts[row["model"]] for row in rows if "name" not in row], taken=given)
    return [str(row["name"]) if "name" in row else made.pop(0) for row in rows]


def _job(
    options: FleetOptions, row: Mapping[str, Value], name: str, shared: Mapping[str, Value]
) -> Job:
    from undoor.fleet.job import Job

    own = {key: value for key, value in row.items() if key not in ROW}
    _require_known(own, options.verb, name)
    data = row.get("data", options.data)
    if data is None:
        raise UsageError(f"{name}: expected clean data, got none; give --data, or a column `data`")
    job = Job(name, str(row["model"]), str(data), {**shared, **own}, options.verb)
    _require_parsed(job)
    return job


def _require_known(own: Mapping[str, Value], verb: Verb, name: str) -> None:
    groups = GROUPS if verb == "repair" else GROUPS[:-1]
    known = {field.name for group in groups for field in fields(group)} | {"memory"}
    for key in own.keys() - known:
        raise UsageError(
            f"{name}: expected options of `undoor {verb}` ({', '.join(sorted(known))}), got "
            f"{key!r}; leave it out"
        )


def _require_parsed(job: Job) -> None:
    """Refuse values that the command would refuse, before any work."""
    from undoor.cli.app import app

    command: Any = typer.main.get_command(app)
    arguments = [*job.arguments[1:], "--out", "out"]
    try:
        command.commands[job.verb].make_context(f"undoor {job.verb}", list(arguments))
    except Exception as error:
        # Errors of the parser belong to typer or to click, depending on the version.
        if not hasattr(error, "format_message"):
            raise
        wrong = in_our_words(error, arguments) or f"{error.format_message()}; correct its options"
        raise UsageError(f"{job.name}: {wrong}") from None
