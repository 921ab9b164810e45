"""The command line as typer sees it."""

from __future__ import annotations

from typing import Annotated

import typer

from undoor.cli.exit_codes import MEANINGS
from undoor.cli.usage import Group

app = typer.Typer(
    name="undoor",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EPILOG = "\n\n".join(
    [
        "[bold]Start here[/]",
        "[cyan]undoor demo[/]",
        "[cyan]undoor inspect model.toml --data clean/[/]",
        "[cyan]undoor scan model.toml --data clean/ --out scan/[/]",
        "[cyan]undoor repair model.toml --data clean/ --scan scan/ --out fix/[/]",
        "[cyan]undoor check model.toml --repair fix/ inputs/[/]",
        "[cyan]undoor export model.toml --repair fix/ --to onnx --out guarded.onnx[/]",
        "[cyan]undoor fleet scan models/ --data clean/ --out fleet/[/]",
        "[cyan]undoor serve model.toml --repair fix/[/]",
        "[cyan]undoor adapt model.toml --data clean/ --repair fix/ --out fix-2/ inputs/[/]",
        "[bold]Exit codes[/]",
        *(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()),
    ]
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"undoor {version('undoor')}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def undoor(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Find a backdoor in a trained classifier, close it without retraining, flag its inputs."""
