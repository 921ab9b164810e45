"""A repair as one file: everything that the guard needs and where it comes from, sealed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.files import write_atomically, write_json
from undoor.identity.digests import require_sha256
from undoor.repairs.contents import RepairContents
from undoor.repairs.encoding import decoded, encoded
from undoor.repairs.plausible import require_plausible
from undoor.sealed import unsealed
from undoor.vocabulary import REPAIR_DESCRIPTION, REPAIR_FILE, trigger_file

SUFFIX = ".safetensors"
MADE_BY = "`undoor repair`"


def serialised(repair: RepairContents) -> bytes:
    """Return the bytes that `save` writes.

    Raises
    ------
    UndoorError
        It holds numbers that no fit makes.
    """
    for item in repair.targets:
        require_plausible(item.target, item.corrections, item.calibration)
    return encoded(repair)


def save(content: bytes, repair: RepairContents, path: Path, document: Mapping[str, Any]) -> Path:
    """Write a repair; see `Repair.save`.

    The file comes last: a folder that has it holds all the rest.

    Parameters
    ----------
    content
        Of `repair`, as `serialised` gives it.
    document
        The repair for people, in a folder.
    """
    file = path
    if path.suffix != SUFFIX:
        file = path / REPAIR_FILE
        for item in repair.targets:
            item.trigger.save(path / trigger_file(item.target))
        write_json(path / REPAIR_DESCRIPTION, dict(document))
    write_atomically(file, lambda temporary: temporary.write_bytes(content))
    return file


def load(path: Path, *, sha256: str | None = None) -> RepairContents:
    """Read a repair; see `Repair.load`."""
    file = path / REPAIR_FILE if path.is_dir() else path
    expected = None if sha256 is None else require_sha256(sha256, "the SHA-256 of the repair")
    content = unsealed(file, made_by=MADE_BY)
    if expected is not None and content.sha256 != expected:
        raise UndoorError(
            f"{file}: expected a file with the SHA-256 {sha256}, got {content.sha256}; "
            "do not use it, get it again"
        )
    return decoded(content, file)
