"""Options that several commands share, each described once.

A command takes one of these classes as a parameter; `undoor.cli.command` shows their fields to
the user as options of their own.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from undoor import vocabulary
from undoor.cli.console import code_aloud, say, trusted_aloud
from undoor.cli.progress import bars
from undoor.errors import UndoorError, UsageError
from undoor.vocabulary import BUDGET, DEFAULT_ALPHA, DEFAULT_DEVICE

if TYPE_CHECKING:
    import torch

    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.inversion.meter import Budget
    from undoor.journal import Journal
    from undoor.scan.report import ScanReport

MODEL_PANEL = "Model, where MODEL is a bare checkpoint (these win over a model.toml)"
DATA_PANEL = "Data"
SCAN_PANEL = "Scan"


Device = Annotated[
    str,
    typer.Option(
        help="Where to compute: cpu, cuda, cuda:1, mps, or auto (a GPU if there is one).",
        metavar="DEVICE",
        rich_help_panel="Device",
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """Which model, and what a bare checkpoint cannot say about itself."""

    model: Annotated[
        Path,
        typer.Argument(
            help="A model.toml, a folder with one or of Transformers or timm, a checkpoint, or a "
            ".pt2, ONNX or TorchScript file."
        ),
    ]
    architecture: Annotated[
        str | None,
        typer.Option(
            help="Code that builds the network; it is run. Or timm:NAME.",
            metavar="FILE.py:CALLABLE",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    weights_key: Annotated[
        str | None,
        typer.Option(
            help="Which of several state dicts in the checkpoint: state_dict_ema.",
            metavar="KEY",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    arguments: Annotated[
        str | None,
        typer.Option(
            help="""Its arguments, as JSON: '{"num_classes": 10}'.""",
            metavar="JSON",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    input_shape: Annotated[
        str | None,
        typer.Option(help="Shape of one input.", metavar="3,32,32", rich_help_panel=MODEL_PANEL),
    ] = None
    bounds: Annotated[
        str | None,
        typer.Option(
            help="Lowest and highest raw value; 0,1 unless told.",
            metavar="LOW,HIGH",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    scale: Annotated[
        float | None,
        typer.Option(
            help="The network sees (x * scale - mean) / std.", rich_help_panel=MODEL_PANEL
        ),
    ] = None
    mean: Annotated[
        str | None,
        typer.Option(help="One number a channel.", metavar="A,B,C", rich_help_panel=MODEL_PANEL),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(help="One number a channel.", metavar="A,B,C", rich_help_panel=MODEL_PANEL),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            help="What the network returns: logits (default), probabilities, or sigmoid.",
            metavar="KIND",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    class_names: Annotated[
        str | None,
        typer.Option(
            help="Names of the classes, in order.", metavar="A,B,...", rich_help_panel=MODEL_PANEL
        ),
    ] = None

    model_sha256: Annotated[
        str | None,
        typer.Option(
            "--model-sha256",
            help="Refuse any model but the one with this SHA-256: the model_sha256 that `undoor "
            "inspect` shows, all 64 digits (not that of one of its files).",
            metavar="HEX",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None

    trust_pickle: Annotated[
        bool,
        typer.Option(
            "--trust-pickle",
            help="Open a whole pickled module, which RUNS ITS CODE, confined as far as the system "
            "allows. Its weights alone are used.",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = False
    trust_code: Annotated[
        bool,
        typer.Option(
            "--trust-code",
            help="RUN the Python code that the model's own model.toml names as its architecture. "
            "What you name with --architecture needs no trust.",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = False
    remember_code: Annotated[
        bool,
        typer.Option(
            "--remember-code",
            help="As --trust-code, and needless from then on, until a file of the code changes.",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = False

    device: Device = DEFAULT_DEVICE

    @property
    def trusts_code(self) -> bool:
        return self.trust_code or self.remember_code

    def load(self) -> Classifier:
        """The classifier these options describe; what is run for it because the user trusts it goes
        to stderr."""
        from undoor.load import load
        from undoor.vocabulary import Output

        if self.output not in (None, *get_args(Output)):
            raise UsageError(
                f"--output: expected logits, probabilities or sigmoid, got {self.output!r}; "
                "say which of them the network returns"
            )
        place = device_named(self.device)
        shape = _numbers("--input-shape", self.input_shape, "3,32,32")
        trusts = self.trusts_code and not self.architecture
        with (
            trusted_aloud(self.model, trusted=self.trust_pickle),
            code_aloud(self.model, trusted=trusts, hint=not self.remember_code) as (named, ran),
        ):
            if named is not None and self.remember_code:
                files = named.remember()
                say(f"these files are trusted from now on, until one changes: {files}")
            classifier = load(
                self.model,
                architecture=self.architecture,
                key=self.weights_key,
                arguments=_json_object(self.arguments),
                input_shape=None if shape is None else [int(n) for n in shape],
                bounds=_numbers("--bounds", self.bounds, "0,1"),
                scale=self.scale,
                mean=_numbers("--mean", self.mean, "0.49,0.48,0.45"),
                std=_numbers("--std", self.std, "0.25,0.24,0.26"),
                output=cast("Output | None", self.output),
                class_names=None if self.class_names is None else self.class_names.split(","),
                trust_pickle=self.trust_pickle,
                sha256=self.model_sha256,
                trust_code=self.trusts_code,
                device=place,
            )
            ran(classifier)
        return classifier

    def arguments_again(self) -> str:
        """These options as typed, for the next command."""
        parts = [str(self.model)]
        for field in fields(self)[1:]:
            # What is remembered need not be said again.
            value = getattr(self, field.name)
            value = None if field.name == "remember_code" or value == field.default else value
            if value is True:
                parts.append(f"--{field.name.replace('_', '-')}")
            elif value is not None and value is not False:
                parts += [f"--{field.name.replace('_', '-')}", str(value)]
        return shlex.join(parts)


RepairPath = Annotated[
    Path,
    typer.Option(
        "--repair",
        help="A repair: the --out folder of `undoor repair`, or its repair.safetensors.",
        metavar="PATH",
    ),
]


RepairSha256 = Annotated[
    str | None,
    typer.Option(
        "--repair-sha256",
        help="Refuse any repair but the one whose repair.safetensors has this SHA-256, as `undoor "
        "repairs list` and sha256sum show it, all 64 digits.",
        metavar="HEX",
    ),
]

Classes = Annotated[
    str | None,
    typer.Option(
        help="What the data call the model's classes: names in the order of its numbers, or a file "
        "with a name a line or JSON ({name of the data: class of the model}).",
        metavar="FILE|A,B,...",
        rich_help_panel=DATA_PANEL,
    ),
]


@dataclass(frozen=True)
class DataOptions:
    """Which labelled clean images."""

    data: Annotated[
        Path,
        typer.Option(
            help="Clean, labelled images: a folder of class folders, an .npz, Parquet files, a "
            "folder of datasets' save_to_disk, or .tar shards (s-{00..07}.tar).",
            metavar="PATH",
            rich_help_panel=DATA_PANEL,
        ),
    ]
    split: Annotated[
        str | None,
        typer.Option(
            help="Part of the data: x_SPLIT in an .npz, a column or files of Parquet, a split of a "
            "saved data set, a sub-folder.",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None
    per_class: Annotated[
        int | None,
        typer.Option(
            help="Use at most N images of each class; no others are decoded.",
            metavar="N",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None
    seed: Annotated[
        int, typer.Option(help="Seed of every random draw.", rich_help_panel=DATA_PANEL)
    ] = 0

    classes: Classes = None

    def read(self, classifier: Classifier, *, every_class: bool = True) -> CleanSet:
        """The clean set, fitted to the classifier; what became of its images goes to stderr."""
        clean = read_data(
            self.data,
            self.split,
            classifier,
            every_class=every_class,
            classes=self.classes,
            per_class=self.per_class,
            seed=self.seed,
        )
        # What is drawn comes in the order drawn, as balanced would have it.
        return clean if self.per_class else clean.balanced(None, self.seed)

    def arguments_again(self) -> str:
        parts = ["--data", str(self.data)]
        parts += ["--split", self.split] if self.split else []
        parts += ["--per-class", str(self.per_class)] if self.per_class else []
        parts += ["--seed", str(self.seed)] if self.seed else []
        parts += ["--classes", self.classes] if self.classes else []
        return shlex.join(parts)


def read_data(
    path: Path,
    split: str | None,
    classifier: Classifier,
    *,
    every_class: bool = True,
    classes: str | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> CleanSet:
    """The data set at `path`, fitted to the classifier; what became of its images goes to stderr.

    every_class : whether each class of the model must be there; a test set may lack some.
    """
    from undoor.clean_set import read_classes, read_clean_set
    from undoor.cli.console import tell_reading

    clean = read_clean_set(
        path,
        split=split,
        classifier=classifier,
        require_all_classes=every_class,
        classes=None if classes is None else read_classes(classes),
        per_class=per_class,
        seed=seed,
    )
    tell_reading(clean.reading)
    return clean


def device_named(text: str) -> torch.device:
    """The device that `--device` names."""
    from undoor.device import chosen

    try:
        return chosen(text)
    except UndoorError as error:
        raise UndoorError(f"--device: {error}") from None


def class_number(text: str, option: str, classifier: Classifier) -> int:
    """The class that `text` names, by number or by name."""
    names = classifier.class_names
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise UsageError(
        f"{option}: expected a class of the model, 0 to {len(names) - 1} or its name, got {text!r}"
    )


def _numbers(option: str, text: str | None, example: str) -> list[float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"{option}: expected numbers separated by commas such as {example}, got {text!r}"
        ) from None
    if option == "--input-shape" and not all(n.is_integer() and n > 0 for n in numbers):
        raise UsageError(
            f"{option}: expected positive whole numbers such as {example}, got {text!r}"
        )
    return numbers


def _json_object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"""--arguments: expected JSON like '{{"num_classes": 10}}', got {text!r} ({error})"""
        ) from None
    if not isinstance(value, dict):
        raise UsageError(
            f"""--arguments: expected a JSON object such as '{{"num_classes": 10}}', got {text!r}"""
        )
    return value


@dataclass(frozen=True)
class ScanOptions:
    """What a scan may get wrong."""

    alpha: Annotated[
        float,
        typer.Option(
            help="Share of clean models that may be called backdoored.",
            min=1e-6,
            max=0.2,
            rich_help_panel=SCAN_PANEL,
        ),
    ] = DEFAULT_ALPHA
    accept_graph: Annotated[
        bool,
        typer.Option(
            "--accept-graph",
            help="You have looked at what `undoor inspect` finds odd in the network's graph: it "
            "may be called clean all the same.",
            rich_help_panel=SCAN_PANEL,
        ),
    ] = False
    accept_coverage: Annotated[
        vocabulary.AcceptCoverage,
        typer.Option(
            help="partial: the model may be called clean though not all trigger families could be "
            "searched, or though the statistics were learned on other networks or inputs.",
            rich_help_panel=SCAN_PANEL,
        ),
    ] = vocabulary.FULL

    def run(
        self,
        classifier: Classifier,
        clean: CleanSet,
        *,
        seed: int,
        budget: Budget | None = None,
        journal: Journal | None = None,
    ) -> ScanReport:
        """The scan, with its progress on stderr; its journal is left open if the budget ended."""
        from undoor.scan import Thresholds, scan

        with bars() as progress:
            report = scan(
                classifier,
                clean,
                seed=seed,
                thresholds=Thresholds(alpha=self.alpha),
                budget=budget,
                accept_graph=self.accept_graph,
                accept_coverage=self.accept_coverage,
                journal=journal,
                progress=progress,
            )
        if journal is not None and BUDGET in report.causes:
            journal.leave_open()
        return report
