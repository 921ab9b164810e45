"""The command `undoor-bench real`: what a scan of a network of usual size costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor.cli.runs import Memory, RunOptions
from undoor_bench.cli.app import app
from undoor_bench.cli.group import TrustCode, rich_table

SCHEMA = "undoor/bench-real/1"
Model = Annotated[Path, typer.Argument(help="Folder with a model.toml.", metavar="MODEL")]
Photos = Annotated[
    Path,
    typer.Option(help="Photos of its classes, a .zip file {train,val}/CLASS/*.jpg.", metavar="ZIP"),
]
Out = Annotated[
    Path, typer.Option(help="Folder that gets a record; the table is of all in it.", metavar="DIR")
]


@command(
    app,
    examples=["undoor-bench real model/ --data imagenette224.zip --out real/ --name resnet18"],
    exit_codes="0 the model was measured",
)
def real(
    model: Model,
    data: Photos,
    out: Out,
    name: Annotated[str, typer.Option(help="Of the record.")],
    images: Annotated[int, typer.Option(help="Clean images per class.", min=1)] = 30,
    sample: Annotated[
        int,
        typer.Option(
            help="Sample passes per trigger family, rounded up to a batch.",
            min=1,
        ),
    ] = 200,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="Search on the images as they are at once.")
    ] = False,
    memory: Memory = None,
    seed: Annotated[int, typer.Option(help="Of images and scan.")] = 0,
    trust_code: TrustCode = False,
) -> CommandResult:
    """Measure what a scan costs per sample pass, beside the network's own best speed.

    Every trigger family is searched for some passes only, as a whole scan may take hours.
    """
    import undoor
    from undoor.clean_set import CleanSet
    from undoor_bench.real import record as records
    from undoor_bench.real.measure import measured_families
    from undoor_bench.real.photos import read_photos

    classifier = undoor.load(model, trust_code=trust_code)
    photos = read_photos(data, "val", classifier.class_names)
    clean = CleanSet.from_arrays(photos.x, photos.y).for_classifier(classifier)
    clean = clean.balanced(images, seed)
    classifier = RunOptions(memory=memory).bounded(classifier, clean)
    with bars() as progress:
        families = measured_families(
            classifier,
            clean,
            sample=sample,
            smaller=not full_size,
            seed=seed,
            progress=progress,
        )
    found = records.facts(model.name, classifier, clean, memory)
    records.save({"name": name, **found, "families": families}, out / f"{name}.json")
    every = records.read(out)
    (out / "real.md").write_text(records.report(every))

    def show(console: Console) -> None:
        console.print(rich_table(records.HEADER, map(records.cells, every)))

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "records": every}, show)
