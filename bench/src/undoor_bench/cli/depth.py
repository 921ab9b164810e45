"""The command `undoor-bench depth`: how far true triggers move activations, layer by layer."""

from __future__ import annotations

from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.app import app
from undoor_bench.cli.group import Data, Only, RecordsOut, Zoo, chosen, rich_table

SCHEMA = "undoor/bench-depth/1"


@command(
    app,
    examples=[
        "undoor-bench depth zoo/ --data data/ --out depth/",
        "undoor-bench depth zoo/ --data data/ --out depth/ --only badnets --only sig",
    ],
    exit_codes="0 all models were looked at",
)
def depth(zoo: Zoo, data: Data, out: RecordsOut, only: Only = None) -> CommandResult:
    """Measure how far true triggers move activations by depth, and correct each layer alone.

    The true triggers are used, to answer whether and where a backdoor shows in the distribution of
    activations; a defender does not know them. Models whose backdoor did not take are left out.

    Writes depth.md, depth.csv (a line a layer) and depth.svg.
    """
    from undoor_bench import tables
    from undoor_bench.depth.cases import known_of
    from undoor_bench.depth.layers import Layer, layers_of
    from undoor_bench.depth.plot import depth_plot
    from undoor_bench.depth.table import HEADER, cells, markdown, rows

    models = [each for each in chosen(zoo, only, held_out=False, trust_code=False) if each.targets]
    models = [each for each in models if each.took]
    found: list[Layer] = []
    with bars() as progress:
        for done, subject in enumerate(models):
            progress("models", done, len(models))
            for known in known_of(subject, data):
                found += layers_of(known)
        progress("models", len(models), len(models))
    tables.save(
        out / "depth", markdown(found), [each.to_json() for each in found], depth_plot(found)
    )

    def show(console: Console) -> None:
        console.print(rich_table(HEADER, map(cells, rows(found))))

    document = {"schema": SCHEMA, "layers": [each.to_json() for each in found]}
    return CommandResult(ExitCode.CLEAN, document, show)
