"""The command `undoor inspect`: look at a model without running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.data_options import DATA_PANEL, Classes, read_data
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.show_inspection import show_inspection

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet

Data = Annotated[
    Path | None,
    typer.Option(
        help="Clean, labelled images for a dry run: one pass, and the accuracy on them.",
        metavar="PATH",
        rich_help_panel=DATA_PANEL,
    ),
]
Split = Annotated[
    str | None, typer.Option(help="Part of the data, as for scan.", rich_help_panel=DATA_PANEL)
]


@command(
    app,
    examples=[
        "undoor inspect model.toml",
        "undoor inspect vendor.pt --json > inspection.json",
        "undoor inspect hub-folder/ --data clean/",
    ],
    exit_codes="0 all files are safe and the model opens, 4 unsafe or not opened, too",
)
def inspect(
    model: ModelOptions, data: Data = None, split: Split = None, classes: Classes = None
) -> CommandResult:
    """Check whether a model is safe to open, and describe it; nothing of it is run.

    Python code that only a file of the model names is listed and not run; --trust-code runs it.
    Shows what each file is and would run, its SHA-256, the network's layers, the places that can be
    corrected, what inputs look like and, with --data, whether the model predicts them well as
    described. Of a bare checkpoint without --architecture only the tensors are described.
    """
    from undoor.inspect import look
    from undoor.inspect.dry_run import MAX_IMAGES

    def read(classifier: Classifier) -> CleanSet:
        assert data is not None
        # As many as the dry run looks at, from data of any size.
        per_class = -(-MAX_IMAGES // classifier.num_classes)
        return read_data(
            data, split, classifier, several_classes=False, classes=classes, per_class=per_class
        )

    found = look(
        model.model,
        model.load,
        None if data is None else read,
        bare=model.architecture is None,
        trusted=model.trust_pickle,
        trust_code=model.trusts_code,
        key=model.weights_key,
    )
    found = found if model.model_sha256 is None else found.held_to_a_hash()

    def show(console: Console) -> None:
        show_inspection(console, found)

    fine = found.opened and (found.safe or model.trust_pickle)
    return CommandResult(ExitCode.CLEAN if fine else ExitCode.FAILURE, found.to_json(), show)
