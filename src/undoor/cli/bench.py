"""`undoor bench`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from undoor.cli.app import app
from undoor.cli.command import Outcome, command
from undoor.cli.console import bars
from undoor.cli.exit_codes import ExitCode

bench = typer.Typer(
    help="Make models whose backdoor is known, and measure on them.", no_args_is_help=True
)
app.add_typer(bench, name="bench")

SCHEMA = "undoor/bench-zoo/1"
DETECT_SCHEMA = "undoor/bench-detect/1"
CALIBRATE_SCHEMA = "undoor/bench-calibrate/1"
TableFile = Annotated[
    Path, typer.Argument(help="TOML file that lists the models.", metavar="TABLE")
]
Data = Annotated[
    Path, typer.Option(help="Folder with cifar10.npz, gtsrb.npz or mnist.npz.", metavar="DIR")
]
Out = Annotated[Path, typer.Option(help="Folder that gets a folder a model.", metavar="DIR")]
Only = Annotated[str, typer.Option(help="Only models whose name contains this.", metavar="TEXT")]


@command(
    bench,
    examples=[
        "undoor bench zoo zoo/table.toml --data data/ --out zoo/",
        "undoor bench zoo zoo/table.toml --data data/ --out zoo/ --only mnist_VGG",
    ],
    exit_codes="0 all models are there, 2 error",
)
def zoo(table: TableFile, data: Data, out: Out, only: Only = "") -> Outcome:
    """Train every model of a table (attack x data set x network x seed) that is not there yet."""
    import json

    from undoor.bench.zoo import read_table, train_entry
    from undoor.errors import UndoorError

    entries = [entry for entry in read_table(table) if only in entry.name]
    if not entries:
        raise UndoorError(f"{table}: no model whose name contains {only!r}")
    truths = {}
    with bars() as progress:
        for done, entry in enumerate(entries):
            progress("models", done, len(entries))
            folder = train_entry(entry, data, out, progress=progress)
            truths[entry.name] = json.loads((folder / "truth.json").read_text())
        progress("models", len(entries), len(entries))

    def show(console: Console) -> None:
        rows = Table("model", "ACC", "ASR", "SIA", "took")
        for name, truth in truths.items():
            found = truth["backdoors"]
            rates = (", ".join(f"{100 * b[key]:.1f} %" for b in found) for key in ("asr", "sia"))
            took = ", ".join("yes" if b["took"] else "no" for b in found)
            rows.add_row(name, f"{100 * truth['acc']:.1f} %", *rates, took)
        console.print(rows)

    return Outcome(ExitCode.CLEAN, {"schema": SCHEMA, "models": truths}, show)


@command(
    bench,
    examples=[
        "undoor bench detect zoo/ --data data/ --out detect/",
        "undoor bench detect zoo/ --data data/ --out detect/ --only wanet --images 10",
    ],
    exit_codes="0 all models were scanned, 2 error",
)
def detect(
    zoo: Annotated[Path, typer.Argument(help="Folder of models with truth.json.", metavar="ZOO")],
    data: Data,
    out: Annotated[
        Path, typer.Option(help="Folder that gets a record a model, and the tables.", metavar="DIR")
    ],
    only: Only = "",
    images: Annotated[int, typer.Option(help="Clean images a class.", min=1)] = 30,
    seed: Annotated[int, typer.Option(help="Of the images drawn and of the scan.")] = 0,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Leave out models that thresholds were learned from.")
    ] = False,
) -> Outcome:
    """Scan models whose backdoors are known, and count what is found and what is made up."""
    from undoor.bench.detect import HEADER, as_csv, cells, markdown, scan_subject, summary
    from undoor.bench.subjects import subjects
    from undoor.errors import UndoorError
    from undoor.files import write_atomically
    from undoor.scan.calibration import calibrated_on

    known = set(calibrated_on()) if held_out else set()
    chosen = [s for s in subjects(zoo) if only in s.name and s.name not in known]
    if not chosen:
        raise UndoorError(f"{zoo}: no model whose name contains {only!r}")
    records = []
    with bars() as progress:
        for done, subject in enumerate(chosen):
            progress("models", done, len(chosen))
            records.append(
                scan_subject(subject, data, out, per_class=images, seed=seed, progress=progress)
            )
        progress("models", len(chosen), len(chosen))
    rows = summary(records)
    write_atomically(out / "detect.md", lambda path: path.write_text(markdown(rows)))
    write_atomically(out / "detect.csv", lambda path: path.write_text(as_csv(records)))

    def show(console: Console) -> None:
        table = Table(*HEADER)
        for row in rows:
            table.add_row(*cells(row))
        console.print(table)

    return Outcome(ExitCode.CLEAN, {"schema": DETECT_SCHEMA, "models": records}, show)


@command(
    bench,
    examples=["undoor bench calibrate detect/ --table zoo/table.toml --out calibration.toml"],
    exit_codes="0 done, 2 error",
)
def calibrate(
    records: Annotated[
        Path, typer.Argument(help="Folder that `undoor bench detect` wrote.", metavar="DIR")
    ],
    table: Annotated[
        Path, typer.Option(help="Table of the zoo, which says which half to learn from.")
    ],
    out: Annotated[Path, typer.Option(help="TOML file to write.", metavar="FILE")],
) -> Outcome:
    """Learn from one half of a zoo how small natural triggers are."""
    import json

    from undoor.bench.calibrate import as_toml, fit_nulls
    from undoor.bench.zoo import read_table
    from undoor.errors import UndoorError
    from undoor.files import write_atomically

    half = [entry.name for entry in read_table(table) if entry.calibrate]
    files = [records / f"{name}.json" for name in half]
    found = [json.loads(file.read_text()) for file in files if file.is_file()]
    if not found:
        raise UndoorError(f"{records}: expected records of {', '.join(half[:3])}, ...; got none")
    nulls = fit_nulls(found)
    text = as_toml(nulls, [record["model"] for record in found])
    write_atomically(out, lambda path: path.write_text(text))

    def show(console: Console) -> None:
        rows = Table("family", "natural", "location", "scale")
        for family, null in nulls.items():
            rows.add_row(family, f"{null.natural:.3g}", f"{null.location:.2f}", f"{null.scale:.2f}")
        console.print(rows)

    values = {family: vars(null) for family, null in nulls.items()}
    return Outcome(ExitCode.CLEAN, {"schema": CALIBRATE_SCHEMA, "nulls": values}, show)
