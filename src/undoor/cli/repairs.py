"""The commands `undoor repairs list`, `combine` and `remove`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from undoor.cli.app import app
from undoor.cli.class_number import class_number
from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.named_repair import RepairSha256
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
    help="Repairs as files: list them, combine several, remove targets from one.",
    no_args_is_help=True,
)
app.add_typer(repairs, name="repairs")

Paths = Annotated[
    list[Path], typer.Argument(help="Repairs, and folders that hold some at any depth.")
]
Several = Annotated[
    list[Path], typer.Argument(help="At least two repairs: --out folders or their files.")
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
def list_repairs(paths: Paths) -> CommandResult:
    """Show repairs: their targets and sites, their model, and the SHA-256 of each file."""
    from undoor.repairs import listed

    found = listed(paths)
    document = {"schema": SCHEMA, "repairs": [item.to_json() for item in found]}
    usable = all(item.problem is None for item in found)
    code = ExitCode.CLEAN if usable else ExitCode.FAILURE
    return CommandResult(code, document, lambda console: _show_list(console, found))


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
) -> CommandResult:
    """Combine repairs of the same model, each for other targets, into one."""
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
    return _result(combine([Repair.load(p, sha256=h) for p, h in pairs], prefer=prefer), out)


@command(
    repairs,
    examples=["undoor repairs remove fix/ --target 5 --out less/"],
    exit_codes="0 written",
)
def remove(
    repair: One, target: Targets, out: Out, repair_sha256: RepairSha256 = None
) -> CommandResult:
    """Remove targets from a repair.

    Its other targets stay as they are.
    """
    from undoor.repair import Repair
    from undoor.repairs import remove

    require_writable(out)
    whole = Repair.load(repair, sha256=repair_sha256)
    names = whole.contract.class_names
    return _result(remove(whole, [class_number(text, "--target", names) for text in target]), out)


def _result(made: Repair, out: Path) -> CommandResult:
    from undoor.repairs import listed

    files = save_repair(out, made)
    (item,) = listed(files[:1])
    if item.problem:
        raise UndoorError(item.problem)

    def show(console: Console) -> None:
        _show_list(console, [item])
        show_files(console, files)

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "repairs": [item.to_json()]}, show)


def _show_list(console: Console, found: list[Listed]) -> None:
    for item in found:
        console.print(Text(plain(str(item.file)), style="bold"), soft_wrap=True)
        console.print(Text(f"  sha256 {item.sha256 or 'unknown'}"), soft_wrap=True)
        if item.repair is None:
            console.print(Text(f"  {plain(item.problem or '')}", style="bold red"), soft_wrap=True)
            continue
        repair = item.repair
        old = repair.identity is not None and repair.identity.sha256 is None
        binding = " (weights and input transform alone: made by an earlier version)" if old else ""
        console.print(Text(f"  model  {repair.fingerprint}{binding}"), soft_wrap=True)
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
            Text(sites or ("none: rows are flagged by cells" if item.cells else "none")),
            f"{item.threshold:.3g}",
        )
    return table


def _scores(item: TargetRepair, repair: Repair) -> str:
    """Return the scores that the threshold of a target was set on, for comparison."""
    clean, triggered = (
        scores.to_text() if scores else "unknown"
        for scores in (item.calibration.clean, item.calibration.triggered)
    )
    label = class_label(item.target, repair.contract.class_names)
    return (
        f"{label}: flags above {item.threshold:.3g}, set on clean scores {clean}, "
        f"triggered scores {triggered}"
    )
