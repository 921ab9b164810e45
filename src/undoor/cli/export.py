"""The command `undoor export`: write the guarded model as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.named_repair import RepairPath, RepairSha256
from undoor.cli.output import require_writable
from undoor.cli.show import show_files
from undoor.cli.tables import table_of
from undoor.render.text import class_label, plain
from undoor.vocabulary import (
    DEFAULT_POLICY,
    EXPORT_INPUT,
    EXPORT_PIXELS,
    ExportFormat,
    Policy,
)

if TYPE_CHECKING:
    from undoor.export import Export

To = Annotated[
    ExportFormat | None,
    typer.Option(
        "--to",
        help="onnx and pt2: original, corrected networks and rule as one graph. safetensors: the "
        "weights of the corrected network alone, where all corrections are affine. Default: "
        "the ending of --out.",
    ),
]
Out = Annotated[Path, typer.Option(help="The file: .onnx, .pt2 or .safetensors.", metavar="FILE")]

PolicyOption = Annotated[
    Policy,
    typer.Option(
        "--policy",
        help="The logits of flagged inputs: relabel (the corrected network's, the target's at "
        "-inf), reject (0, the target's at -inf), flag (the bare model's). The state dict of "
        "--to safetensors knows no flag.",
    ),
]

WithPreprocessing = Annotated[
    bool,
    typer.Option(
        "--with-preprocessing",
        help="The file takes pixels of any size, uint8 [N, H, W, C], and resizes, crops and scales "
        "them itself, as Pillow does.",
    ),
]
Triton = Annotated[
    Path | None,
    typer.Option(
        "--triton",
        help="Also add the ONNX file to this model repository of Triton, with its config.pbtxt.",
        metavar="FOLDER",
    ),
]

# Code that runs each format where undoor is not installed.
SNIPPETS = {
    "onnx": """\
import numpy, onnxruntime
session = onnxruntime.InferenceSession({file!r})
{name} = numpy.full((1, {shape}), {low}, "{dtype}")  # raw, from {low} to {high}
logits, flagged, score = session.run(["logits", "flagged", "score"], {{"{name}": {name}}})
{reading}""",
    "pt2": """\
import torch
guarded = torch.export.load({file!r}).module()
{name} = torch.full((1, {shape}), {low}, dtype=torch.{dtype})  # raw, from {low} to {high}
logits, flagged, score = guarded({name})
{reading}""",
    "safetensors": """\
from safetensors.torch import load_file
network.load_state_dict(load_file({file!r}))  # your architecture; it flags nothing""",
}


@command(
    app,
    examples=[
        "undoor export model.toml --repair fix/ --to onnx --out guarded.onnx",
        "undoor export model.toml --repair fix/ --out guarded.pt2 --policy reject",
        "undoor export model.toml --repair fix/ --out guarded.onnx --with-preprocessing",
        "undoor export model.toml --repair fix/ --out guarded.onnx --triton models/",
        "undoor export model.toml --repair fix/ --out corrected.safetensors --json",
    ],
    exit_codes="0 written and checked",
)
def export(
    model: ModelOptions,
    repair: RepairPath,
    out: Out,
    repair_sha256: RepairSha256 = None,
    to: To = None,
    policy: PolicyOption = DEFAULT_POLICY,
    with_preprocessing: WithPreprocessing = False,
    triton: Triton = None,
) -> CommandResult:
    """Write the guarded model as one file that runs without undoor.

    It takes raw images and returns logits (of the guarded prediction), flagged and score.
    """
    require_writable(out)
    classifier = model.load()
    fix = pipeline.read_repair(repair, classifier, repair_sha256)
    from undoor.export import export
    from undoor.export.triton import require_name, write_repository

    if triton is not None:
        require_name(out)
        require_writable(triton / out.stem, "--triton")
    made = export(classifier, fix, out, to=to, policy=policy, with_preprocessing=with_preprocessing)
    config = write_repository(made, triton) if triton is not None else None
    return CommandResult(
        ExitCode.CLEAN,
        {
            **made.to_json(),
            "triton": None if config is None else str(config),
            "snippet": _snippet(made),
        },
        lambda console: _show(console, made, config),
    )


def _snippet(made: Export) -> str:
    from undoor.tasks.registry import find_task

    contract = made.about.preparation.contract
    in_graph = made.about.preparation.in_graph
    low, high = (0.0, 255.0) if in_graph else contract.bounds
    # Any size would do, such as that of the model.
    shape = (
        (*contract.input_shape[1:], contract.input_shape[0]) if in_graph else contract.input_shape
    )
    task = find_task(made.about.task)
    numbers = "{:.0f}" if in_graph else "{:.1f}"
    return SNIPPETS[made.format].format(
        file=str(made.file),
        reading="" if task is None else task.in_code,
        name=EXPORT_PIXELS if in_graph else EXPORT_INPUT,
        dtype="uint8" if in_graph else "float32",
        shape=", ".join(map(str, shape)),
        low=f"{low:g}" if low % 1 else numbers.format(low),
        high=f"{high:g}" if high % 1 else numbers.format(high),
    )


def _show(console: Console, made: Export, config: Path | None) -> None:
    document, about = made.to_json(), made.about
    table = table_of("", "name", "type", "shape")
    for way in ("inputs", "outputs"):
        for item in document[way]:
            shape = ", ".join(map(str, item["shape"]))
            table.add_row(Text(way[:-1]), item["name"], item["dtype"], Text(f"[{shape}]"))
    if table.row_count:
        console.print(table)
    names = about.preparation.contract.class_names
    targets = ", ".join(class_label(target, names) for target in about.targets)
    guards = "guards" if about.holds == "guarded" else "is corrected, not guarded, for"
    lines = [
        f"{guards} {targets}",
        f"read again: {made.parity.inputs} inputs predicted as by the guarded model, to within "
        f"{made.parity.largest:.1g}",
        f"model  {about.model_sha256}",
        f"repair {about.repair_sha256}",
        f"file   {made.sha256}",
    ]
    for line in lines:
        console.print(Text(f"• {plain(line)}"), soft_wrap=True)
    show_files(console, [made.file, *([config] if config else [])])
    console.print(Text("Run it:", style="bold"))
    for line in _snippet(made).splitlines():
        console.print(Text(f"  {plain(line)}", style="cyan"), soft_wrap=True)
