"""The result of `undoor inspect` for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from undoor.cli.tables import table_of
from undoor.render.text import listing, percent, plain

if TYPE_CHECKING:
    from undoor.inspect import DryRun, FileFacts, Inspection
    from undoor.inspect.checkpoint import CheckpointFacts
    from undoor.inspect.network import NetworkFacts
    from undoor.inspect.result import ClassifierFacts

SHOWN_FILES = 20
SHOWN_GLOBALS = 8
SHOWN_TENSORS = 12
SHOWN_SITES = 6


def show_inspection(console: Console, found: Inspection) -> None:
    """Print whether the files are safe, then what the model is and its warnings."""
    console.print(_verdict(found))
    _show_files(console, found.files)
    for file in found.files:
        if file.globals or file.problems:
            console.print(_inside(file))
    if found.checkpoint:
        console.print(_tensors(found.checkpoint))
    if found.network and found.contract:
        console.print(_network(found.network, found.contract))
    if found.dry_run:
        console.print(_dry_run(found.dry_run))


def _verdict(found: Inspection) -> Panel:
    colour, title = _heading(found)
    lines = [Text(title, style=f"bold {colour}")]
    if found.problem:
        lines.append(Text(f"• {plain(found.problem)}"))
    unsafe = [file for file in found.files if not file.safe]
    if unsafe:
        lines.append(Text(f"• {len(unsafe)} of {len(found.files)} files: see below"))
    if found.checkpoint:
        without = "its code is not run" if found.code else "no architecture was given"
        lines.append(Text(f"• {without}: only its tensors are described"))
    lines += [Text(f"• {plain(text)}", style="yellow") for text in found.warnings]
    return Panel(Group(*lines), border_style=colour, expand=False)


def _heading(found: Inspection) -> tuple[str, str]:
    """Return colour and title: safety comes first, whether it opened second."""
    code_runs = found.code is not None and not found.code.trusted
    if not found.safe and found.opened:
        return "yellow", "NOT SAFE, OPENED BECAUSE IT IS TRUSTED"
    if any(not file.safe and not file.unreadable for file in found.files):
        return "red", "NOT SAFE TO OPEN"
    if not all(file.safe for file in found.files):
        return "red", "NOT OPENED: A FILE CANNOT BE READ"
    if code_runs:
        return "red", "NOT SAFE TO OPEN: CODE WOULD RUN"
    if not found.opened:
        return "yellow", "SAFE FILES, BUT NOT OPENED"
    if found.code is not None:
        return "green", "SAFE TO OPEN, WITH CODE THAT YOU TRUST"
    return "green", "SAFE TO OPEN"


def _row(table: Table, *cells: object) -> None:
    """Add cells that are shown as they are: names may contain what rich takes for markup."""
    table.add_row(*(Text(plain(cell)) for cell in cells))


def _show_files(console: Console, files: tuple[FileFacts, ...]) -> None:
    """Print the files, and their hashes as sha256sum writes them.

    The hashes stand on lines that can be copied, however narrow the terminal is.
    """
    table = table_of("file", "format", "bytes", title="Files")
    shown = sorted(files, key=lambda file: file.safe and not file.runs)[:SHOWN_FILES]
    for file in shown:
        size = "" if file.size is None else f"{file.size:,}"
        _row(table, file.path, file.format or "?", size)
    if len(files) > len(shown):
        rest = "all safe" if all(file.safe for file in files) else "see --json"
        table.add_row(f"and {len(files) - len(shown)} more, {rest}", "", "")
    console.print(table)
    console.print(Text("SHA-256", style="bold"))
    for file in shown:
        console.print(Text(f"{file.sha256 or '?'}  {plain(file.path)}"), soft_wrap=True)


def _inside(file: FileFacts) -> Group:
    lines = [Text(plain(file.path), style="bold")]
    lines += [Text(f"• {plain(text)}", style="red") for text in file.problems[:SHOWN_GLOBALS]]
    if len(file.problems) > SHOWN_GLOBALS:
        lines.append(Text(f"• and {len(file.problems) - SHOWN_GLOBALS} more", style="red"))
    names = [f"{plain(name)} ({opcode})" for name, opcode in file.globals]
    if names:
        more = len(names) - SHOWN_GLOBALS
        shown = ", ".join(names[:SHOWN_GLOBALS]) + (f" and {more} more" if more > 0 else "")
        lines.append(Text(f"• its pickles name {shown}"))
    return Group(*lines)


def _tensors(facts: CheckpointFacts) -> Table:
    title = f"{len(facts.tensors)} tensors, {facts.parameters:,} parameters"
    table = table_of("tensor", "shape", title=title)
    for name, shape in list(facts.tensors.items())[:SHOWN_TENSORS]:
        _row(table, name, " x ".join(map(str, shape)))
    if len(facts.tensors) > SHOWN_TENSORS:
        table.add_row(f"and {len(facts.tensors) - SHOWN_TENSORS} more", "")
    guesses = {"classes": facts.classes, "input channels": facts.channels}
    for what, number in guesses.items():
        if number is not None:
            table.add_row(f"probably {number} {what}", "", style="dim")
    return table


def _network(network: NetworkFacts, contract: ClassifierFacts) -> Table:
    table = table_of("", "", title=f"Network {plain(network.name)}")
    layers = [f"{count} {plain(name)}" for name, count in network.layers.items()]
    sites = [f"{plain(site.name)} {list(site.shape)}" for site in network.sites]
    more = len(sites) - SHOWN_SITES
    names = [plain(name) for name in contract.class_names]
    table.add_row("parameters", f"{network.parameters:,}")
    _row(table, "layers", ", ".join(layers))
    _row(
        table,
        "can be corrected",
        f"{len(sites)} places: {', '.join(sites[:SHOWN_SITES])}"
        + (f" and {more} more" if more > 0 else "")
        if sites
        else "nothing, as it has no layers; rows are flagged by their cells",
    )
    table.add_row("input", f"{' x '.join(map(str, contract.input_shape))} within {contract.bounds}")
    table.add_row(
        "network sees",
        f"(x * {contract.scale:g} - {_numbers(contract.mean)}) / {_numbers(contract.std)}",
    )
    _row(table, "predicts", f"{contract.output} of {len(names)} classes: {listing(names, 10)}")
    return table


def _dry_run(run: DryRun) -> Table:
    table = table_of("inputs", "correct", title=f"Dry run on {run.images} clean {run.noun.many}")
    table.add_row("as described", percent(run.accuracy.value), style="bold")
    for name, share in run.fed_otherwise.items():
        table.add_row(name, percent(share), style="yellow" if name == run.better else "dim")
    return table


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
