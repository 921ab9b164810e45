"""The option `--device`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from undoor.errors import UndoorError, UsageError

if TYPE_CHECKING:
    import torch

Device = Annotated[
    str,
    typer.Option(
        help="Where to compute: cpu, cuda, cuda:1, mps, or auto (a GPU if there is one).",
        metavar="DEVICE",
        rich_help_panel="Device",
    ),
]


def device_named(text: str) -> torch.device:
    """Return the device that a text names; errors name the option."""
    from undoor.device import chosen

    try:
        return chosen(text)
    except UndoorError as error:
        raise UsageError(f"--device: {error}") from None
