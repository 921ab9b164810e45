"""What a fleet calls to let several processes search one model; no command for people."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from undoor.cli.command import CommandResult, command
from undoor.cli.data_options import DataOptions
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.progress import bars
from undoor.cli.repair_options import RepairOptions
from undoor.cli.runs import Memory, RunOptions, resume
from undoor.cli.scan_options import ScanOptions
from undoor.vocabulary import CLAIMS_FOLDER, RUN_FOLDER

ahead_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@command(ahead_app, examples=[], exit_codes="0 nothing is left to claim")
def ahead(
    model: ModelOptions,
    data: DataOptions,
    search: ScanOptions,
    fixing: RepairOptions,
    out: Annotated[Path, typer.Option()],
    helper: Annotated[int, typer.Option()],
    repair: Annotated[bool, typer.Option("--repair")] = False,
    memory: Memory = None,
) -> CommandResult:
    """Search families of a scan ahead of it, into the journal of its output folder."""
    from undoor.journal import Journal
    from undoor.scan.ahead import search_ahead

    classifier = model.load()
    clean = data.read(classifier)
    classifier = RunOptions(memory=memory).bounded(classifier, clean, fit=repair)
    journal = Journal(out / RUN_FOLDER)
    # As the command that follows it describes its run: of another one, it would use nothing.
    of_repair = {"scan": None, **vars(fixing)} if repair else {}
    resume(journal, classifier, clean, {"seed": data.seed, **of_repair, **vars(search)})
    with bars() as progress:
        search_ahead(
            classifier,
            clean,
            journal=journal,
            claim=claims(journal.folder / CLAIMS_FOLDER, helper),
            seed=data.seed,
            progress=progress,
        )
    return CommandResult(ExitCode.CLEAN, {}, lambda _: None)


def claims(folder: Path, helper: int) -> Callable[[str], bool]:
    """Return what claims a name for this helper: its own again after it was killed.

    Parameters
    ----------
    folder
        Where claims are files, of which only one can be the first.
    helper
        The number of this process among its helpers.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def claim(name: str) -> bool:
        file = folder / name
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return file.read_text() == str(helper)
        os.write(handle, str(helper).encode())
        os.close(handle)
        return True

    return claim
