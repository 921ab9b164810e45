"""The command line of the benchmark as typer sees it."""

from __future__ import annotations

from typing import Annotated

import typer

from undoor.cli.usage import Group

app = typer.Typer(
    cls=Group,
    name="undoor-bench",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"undoor-bench {version('undoor-bench')}")
        raise typer.Exit


@app.callback()
def undoor_bench(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Make models whose backdoor is known, and measure on them."""
