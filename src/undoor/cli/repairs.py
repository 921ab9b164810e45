"""`undoor repairs`: list, combine, remove"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from undoor.cli.app import app
from undoor.cli.command import Outcome, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.options import RepairSha256
from undoor.cli.output import require_writable, save_repair
from undoor.cli.show import show_files
from undoor.cli.tables import table_of
from undoor.errors import UndoorError, UsageError
from undoor.render.text import class_label, listing, plain
from undoor.vocabulary import Prefer

if TYPE_CHECKING:
    from undoor.repair import Repair, TargetRepair
    from undoor.repairs import Listed

SCHEMA = "undoor/repairs/1"
NAMED_SITES = 2

repairs = typer.Typer(
    help="Repairs as files: what is there, several made one, one without some of its targets.",
    no_args_is_help=True,
)
app.add_typer(repairs, name="repairs")

Paths = Annotated[
    list[Path], typer.Argument(help="Repairs, and folders that hold some at any depth.")
]
Several = Annotated[
    list[Path], typer.Argument(help="Two repairs or more: --out folders or their files.")
]
One = Annotated[Path, typer.Argument(help="A repair: an --out folder or its file.")]
Out = Annotated[
    Path,
    typer.Option(help="A file that ends in .safetensors, or a folder.", metavar="PATH"),
]
PreferOption = Annotated[
    Prefer | None,
    typer.Option(help="Whose corrections a target gets that several repairs correct."),
]
Hashes = Annotated[
    list[str] | None,
    typer.Option(
        "--repair-sha256",
        help="Refuse any repairs but those with these SHA-256: once for each, in their order.",
        metavar="HEX",
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        help="A target to leave out, by number or name; may be given several times.",
        metavar="CLASS",
    ),
]


@command(
    repairs,
    name="list",
    examples=["undoor repairs list fix/", "undoor repairs list models/ fix/repair.safetensors"],
    exit_codes="0 all can be used, 4 one cannot, too",
)
def list_repairs(paths: Paths) -> Outcome:
    """Show repairs: their targets and sites, for which model they are, the SHA-256 of the file."""
    from undoor.repairs import listed

    found = listed(paths)
    document = {"schema": SCHEMA, "repairs": [item.to_json() for item in found]}
    usable = all(item.problem is None for item in found)
    code = ExitCode.CLEAN if usable else ExitCode.FAILURE
    return Outcome(code, document, lambda console: _show_list(console, found))


@command(
    repairs,
    examples=[
        "undoor repairs combine fix-a/ fix-b/ --out fix/",
        "undoor repairs combine old.safetensors new.safetensors --prefer last --out new/",
    ],
    exit_codes="0 written",
)
def combine(
    given: Several, out: Out, prefer: PreferOption = None, repair_sha256: Hashes = None
) -> Outcome:
    """Return one repair of several of the same model, each for targets of its own."""
    from undoor.repair import Repair
    from undoor.repairs import combine

    require_writable(out)
    hashes: Sequence[str | None] = repair_sha256 or [None] * len(given)
    if len(hashes) != len(given):
        raise UsageError(
            f"--repair-sha256: expected one for each of the {len(given)} repairs, in their order, "
            f"got {len(hashes)}"
        )
    pairs = zip(given, hashes, strict=True)
    return _outcome(combine([Repair.load(p, sha256=h) for p, h in pairs], prefer=prefer), out)


@command(
    repairs,
    examples=["undoor repairs remove fix/ --target 5 --out less/"],
    exit_codes="0 written",
)
def remove(repair: One, target: Targets, out: Out, repair_sha256: RepairSha256 = None) -> Outcome:
    """Return a repair without some of its targets.

    Whatever it does for the others stays as it is.
    """
    from undoor.repair import Repair
    from undoor.repairs import remove

    require_writable(out)
    whole = Repair.load(repair, sha256=repair_sha256)
    names = whole.contract.class_names
    return _outcome(remove(whole, [_number(text, names) for text in target]), out)


def _number(text: str, names: tuple[str, ...]) -> int:
    """Return the class that `text` names, by name or by number."""
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise UsageError(
        f"--target: expected a class of the model, 0 to {len(names) - 1} or its name, got {text!r}"
    )


def _outcome(made: Repair, out: Path) -> Outcome:
    from undoor.repairs import listed

    files = save_repair(out, made)
    (item,) = listed(files[:1])
    if item.problem:
        raise UndoorError(item.problem)

    def show(console: Console) -> None:
        _show_list(console, [item])
        show_files(console, files)

    return Outcome(ExitCode.CLEAN, {"schema": SCHEMA, "repairs": [item.to_json()]}, show)


def _show_list(console: Console, found: list[Listed]) -> None:
    for item in found:
        console.print(Text(plain(str(item.file)), style="bold"), soft_wrap=True)
        console.print(Text(f"  sha256 {item.sha256 or 'unknown'}"), soft_wrap=True)
        if item.repair is None:
            console.print(Text(f"  {plain(item.problem or '')}", style="bold red"), soft_wrap=True)
            continue
        repair = item.repair
        old = repair.identity is not None and repair.identity.sha256 is None
        binds = " (weights and input transform alone: made by an earlier version)" if old else ""
        console.print(Text(f"  model  {repair.fingerprint}{binds}"), soft_wrap=True)
        made = f"{repair.verdict}, fit {plain(repair.fit)}, undoor {plain(repair.version)}"
        console.print(Text(f"  {made}"), soft_wrap=True)
        console.print(_targets(repair) if repair.targets else Text("  corrects nothing"))
        for target in repair.targets:
            console.print(Text(f"  {_scores(target, repair)}"), soft_wrap=True)


def _targets(repair: Repair) -> Table:
    table = table_of("target", "corrected sites", "flags above")
    names = repair.contract.class_names
    for item in repair.targets:
        sites = listing((f"{plain(s.name)} ({s.granularity})" for s in item.sites), NAMED_SITES)
        table.add_row(
            Text(class_label(item.target, names), style="bold"),
            Text(sites or "none"),
            f"{item.threshold:.3g}",
        )
    return table


def _scores(item: TargetRepair, repair: Repair) -> str:
    """Return what the threshold of a target was set on, for comparison."""
    clean, triggered = (
        scores.to_text() if scores else "unknown"
        for scores in (item.calibration.clean, item.calibration.triggered)
    )
    label = class_label(item.target, repair.contract.class_names)
    return (
        f"{label}: flags above {item.threshold:.3g}, set on clean scores {clean}, "
        f"triggered scores {triggered}"
    )
