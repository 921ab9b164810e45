"""Options that name a model, and describe what a bare checkpoint cannot say about itself."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from undoor.cli.console import code_warnings, pickle_warnings, say
from undoor.cli.device_option import Device, device_named
from undoor.errors import UsageError
from undoor.vocabulary import DEFAULT_DEVICE

if TYPE_CHECKING:
    from undoor.classifier import Classifier

MODEL_PANEL = "Model, where MODEL is a bare checkpoint (these win over a model.toml)"


@dataclass(frozen=True, kw_only=True)
class DescriptionOptions:
    """Options that describe a model, wherever it is."""

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
            help="Lowest and highest raw value (default: 0,1).",
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
        typer.Option(help="One number per channel.", metavar="A,B,C", rich_help_panel=MODEL_PANEL),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(help="One number per channel.", metavar="A,B,C", rich_help_panel=MODEL_PANEL),
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
            "allows. Only its weights are used.",
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
            help="Like --trust-code, and trust these files from now on, until one changes.",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = False

    device: Device = DEFAULT_DEVICE


@dataclass(frozen=True, kw_only=True)
class ModelOptions(DescriptionOptions):
    """Options that name a model and describe it."""

    model: Annotated[
        Path,
        typer.Argument(
            help="A model.toml, a folder with one or of Transformers or timm, a checkpoint, or a "
            ".pt2, ONNX or TorchScript file."
        ),
    ]

    @property
    def trusts_code(self) -> bool:
        """Whether code that the model names may run."""
        return self.trust_code or self.remember_code

    def load(self) -> Classifier:
        """Return the classifier that these options describe.

        Code that is run because the user trusts it is listed on stderr.
        """
        from undoor.load import load
        from undoor.vocabulary import Output

        if self.output not in (None, *get_args(Output)):
            raise UsageError(
                f"--output: expected logits, probabilities or sigmoid, got {self.output!r}; "
                "name the one that the network returns"
            )
        device = device_named(self.device)
        shape = _numbers("--input-shape", self.input_shape, "3,32,32")
        trusts = self.trusts_code and not self.architecture
        with (
            pickle_warnings(self.model, trusted=self.trust_pickle),
            code_warnings(self.model, trusted=trusts, hint=not self.remember_code) as (named, ran),
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
                device=device,
            )
            ran(classifier)
        return classifier

    def arguments_again(self) -> str:
        """Return these options as typed, for the next command."""
        parts = [str(self.model)]
        for field in fields(DescriptionOptions):
            # What is remembered need not be given again.
            value = getattr(self, field.name)
            value = None if field.name == "remember_code" or value == field.default else value
            if value is True:
                parts.append(f"--{field.name.replace('_', '-')}")
            elif value is not None and value is not False:
                parts += [f"--{field.name.replace('_', '-')}", str(value)]
        return shlex.join(parts)


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
