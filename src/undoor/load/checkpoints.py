"""Screening of torch.save's archives by an allow-list of members and of their pickles."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from undoor.errors import UndoorError
from undoor.load.archives import content
from undoor.load.pickles import Breach, Screening, screen_member

# More would describe many millions of tensors.
LARGEST_PICKLE = 2**27
# What torch.save writes beside data.pkl, below one folder.
STORAGE = re.compile(r"data/\d+")
PLAIN = frozenset(
    {
        "version",
        "byteorder",
        ".format_version",
        ".storage_alignment",
        ".data/version",
        ".data/serialization_id",
    }
)
ENDINGS = (".pkl", ".pickle", ".p", ".pt", ".pth", ".bin", ".joblib", ".dill")


def screen_checkpoint(archive: zipfile.ZipFile, path: Path, found: Screening) -> None:
    """Screen the pickles of a checkpoint, and find members that torch.save does not write.

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
        It holds no data.pkl, or a member is damaged.
    """
    names = [name for name in archive.namelist() if not name.endswith("/")]
    roots = [name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == "data.pkl"]
    if not roots:
        raise UndoorError(f"{path} is a zip archive without data.pkl, not a checkpoint")
    for name in names:
        inside = name.removeprefix(f"{roots[0]}/")
        if _is_pickle(inside):
            screen_member(content(archive, name, path, LARGEST_PICKLE), name, found)
        if not (inside == "data.pkl" or inside in PLAIN or STORAGE.fullmatch(inside)):
            text = f"its member {name[:80]!r} is not written by torch.save"
            found.add(Breach("", text, "", 0, name))


def _is_pickle(name: str) -> bool:
    return name.casefold().endswith(ENDINGS)
