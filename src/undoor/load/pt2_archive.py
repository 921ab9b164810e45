"""Screening of archives of torch.export (.pt2), of which `torch.export.load` runs parts.

PyTorch opens a weight with an unrestricted unpickler where the archive's metadata asks for it,
custom and opaque objects always, and sample inputs where its restricted unpickler has failed. For
the description of the graph, see `undoor.load.pt2_graph`.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.load.archives import content, open_screened_stream
from undoor.load.checkpoints import screen_checkpoint
from undoor.load.pickles import Breach, Screening
from undoor.load.pt2_graph import graph_breaches

# A graph of a hundred thousand nodes takes less; JSON takes twenty times its size once read.
LARGEST_TEXT = 2**25
LARGEST_INPUTS = 2**28
OLD = "serialized_exported_program"
# What torch.export.save writes of tensors alone, below one folder.
PLAIN = re.compile(
    r"models/[^/]+\.json"
    r"|data/weights/weight_\d+|data/weights/[^/]+_weights_config\.json"
    r"|data/constants/tensor_\d+|data/constants/[^/]+_constants_config\.json"
    r"|data/sample_inputs/[^/]+\.pt"
    r"|archive_format|archive_version|byteorder|version|\.data/[a-z_]+|\.format_version"
    r"|\.storage_alignment|extra/[^/]+"
)
MODEL = re.compile(r"models/[^/]+\.json")
CONFIG = re.compile(r"data/(weights|constants)/[^/]+_config\.json")


def is_pt2(names: list[str]) -> bool:
    """Return whether these are the members of an archive of torch.export, of any version."""
    inside = [name.partition("/")[2] for name in names]
    old = any(part.startswith(OLD) for part in (*inside, *names))
    return old or "archive_format" in inside or any(part.startswith("models/") for part in inside)


def screen_pt2(archive: zipfile.ZipFile, path: Path, found: Screening) -> None:
    """Screen an archive for what `torch.export.load` would unpickle, run, or take from elsewhere.

    Parameters
    ----------
    archive
        As `open_screened` opened it.
    path
        Of the archive, for messages.
    found
        What is found is added here.

    Raises
    ------
    UndoorError
        A part is damaged, or too large for a description.
    """
    names = [name for name in archive.namelist() if not name.endswith("/")]
    roots = {name.partition("/")[0] for name in names}
    if len(roots) != 1 or any(OLD in name for name in names):
        found.add(Breach("", "it is not in the current format of torch.export.save", "", 0))
        return
    for name in names:
        inside = name.partition("/")[2]
        for why in _breaches(archive, name, inside, path, found):
            found.add(Breach("", why, "", 0, name))


def _breaches(
    archive: zipfile.ZipFile, name: str, inside: str, path: Path, found: Screening
) -> Iterator[str]:
    if not PLAIN.fullmatch(inside):
        yield f"its member {name[:80]!r} is no part of an exported program of tensors alone"
    elif MODEL.fullmatch(inside):
        yield from graph_breaches(_json(content(archive, name, path, LARGEST_TEXT), name, path))
    elif CONFIG.fullmatch(inside):
        config = _json(content(archive, name, path, LARGEST_TEXT), name, path)
        yield from _pickled(config)
        yield from graph_breaches(config)
    elif inside.endswith(".pt"):
        data = content(archive, name, path, LARGEST_INPUTS)
        if not data:
            return  # a program that was saved without them
        label = path / name
        with open_screened_stream(io.BytesIO(data), label) as inner:
            # Storages are keyed by number in every archive, and must not be mixed.
            inputs = Screening()
            screen_checkpoint(inner, label, inputs)
        for breach in inputs.breaches:
            found.add(breach)
        found.globals.update({k: v for k, v in inputs.globals.items() if k not in found.globals})
        if inputs.damage:
            yield f"its sample inputs cannot be followed ({inputs.damage})"


def _pickled(config: Any) -> Iterator[str]:
    entries = config.get("config") if isinstance(config, dict) else None
    if not isinstance(entries, dict):
        yield "its list of weights is not what torch.export.save writes"
        return
    for key, entry in entries.items():
        file = entry.get("path_name") if isinstance(entry, dict) else None
        # Anything but a plain false may count as true.
        if not isinstance(entry, dict) or entry.get("use_pickle") is not False:
            yield f"its metadata has {key[:80]!r} unpickled when it is opened, which can run code"
        if not isinstance(file, str) or not re.fullmatch(r"(weight|tensor)_\d+", file):
            yield f"its metadata takes {key[:80]!r} from {str(file)[:80]!r}, not a tensor in it"


def _json(data: bytes, name: str, path: Path) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise UndoorError(
            f"{path}: its member {name!r} is not readable JSON ({reason}); export the model again"
        ) from error
