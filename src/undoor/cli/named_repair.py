"""Options that name a repair, and the hash that its file must have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
