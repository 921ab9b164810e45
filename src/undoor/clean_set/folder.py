"""Clean samples from a folder with one sub-folder per class."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from undoor.clean_set.images import SUFFIXES
from undoor.clean_set.index import Index, Raw
from undoor.errors import UndoorError
from undoor.files import walk

# Folders that systems and archivers make beside data; hidden ones are no data either.
SYSTEM = frozenset({"__MACOSX", "__pycache__", "@eaDir", "lost+found", "$RECYCLE.BIN"})
# What parts of data sets are called.
SPLITS = frozenset({
    "train", "training", "trainset", "trn", "val", "valid", "validation", "valset", "test",
    "testing", "testset", "tst", "dev", "eval", "evaluation", "holdout", "heldout",
})  # fmt: skip
MAX_PATH = 4096
WORD = re.compile(r"[^\W\d_]+")


def index_folder(path: Path, suffixes: Collection[str] = SUFFIXES, one: str = "an image") -> Index:
    """Return every image file below the class folders of `path`, links to folders followed.

    Parameters
    ----------
    path
        The folder.
    suffixes
        What the names of its files end with, in lower case.
    one
        What a file of it is, for messages.

    Raises
    ------
    UndoorError
        There is no class folder, or links were copied as text files.
    """
    if not path.is_dir():
        raise UndoorError(f"the folder {path} does not exist; expected a folder of class folders")
    entries = sorted(p for p in path.iterdir() if not is_hidden(p.name))
    folders = [p for p in entries if p.is_dir()]
    if not folders:
        raise UndoorError(f"{path} has no sub-folders; expected one sub-folder per class")
    strays = [f"{p}: lies in no class folder" for p in entries if not p.is_dir()]
    files: list[str] = []
    labels: list[str] = []
    walks: dict[str, Walk] = {}
    for folder in folders:
        walk = walks[folder.name] = Walk(folder)
        for file in walk.files():
            if file.suffix.lower() in suffixes:
                # Text takes a fraction of the memory of a Path, and there may be millions.
                files.append(str(file))
                labels.append(folder.name)
            else:
                _require_no_link_as_text(file)
                strays.append(f"{file}: not {one} file ({file.suffix or 'no suffix'})")
        strays += walk.repeated

    def read(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        return ((row, Path(files[row])) for row in rows)

    linked = sum(walk.linked for walk in walks.values())
    return Index(
        str(path),
        labels,
        files.__getitem__,
        read,
        strays=tuple(strays),
        notes=(*linked_note(path, linked), *twice_note(path, walks)),
        doubt=_doubt(path, folders),
    )


def linked_note(path: Path, linked: int) -> tuple[str, ...]:
    """Return a note on files that were found behind links, if there are any."""
    note = f"{linked} files of {path} lie behind links to folders, which are followed"
    return (note,) if linked else ()


def twice_note(path: Path, walks: Mapping[str, Walk]) -> tuple[str, ...]:
    """Return a note on images that links put into the folders of two classes, if there are any.

    Parameters
    ----------
    path
        Of the data set.
    walks
        The finished walk over the folder of each class.
    """
    classes_of: defaultdict[str, set[str]] = defaultdict(set)
    for name, seen in walks.items():
        for folder in seen.images:
            classes_of[folder].add(name)
    count, example = 0, set[str]()
    for folder, names in classes_of.items():
        if len(names) > 1:
            count += max(walks[name].images.get(folder, 0) for name in names)
            example = example or names
    targets: defaultdict[str, set[str]] = defaultdict(set)
    for name, seen in walks.items():
        for target in seen.targets:
            targets[target] |= {name, *classes_of.get(os.path.dirname(target), ())}  # noqa: PTH120
    for names in targets.values():
        if len(names) > 1:
            count += 1
            example = example or names
    if not count:
        return ()
    what = "1 image" if count == 1 else f"{count} images"
    return (
        f"{what} of {path} can be read in two classes ({' and '.join(sorted(example)[:2])}), "
        "since links lead from one to the other; remove the links, unless both labels are right",
    )


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is no data: hidden, or made by a system."""
    return name.startswith(".") or name in SYSTEM


def is_split(name: str) -> bool:
    """Return whether a name has a word that stands for a part of a data set.

    Examples
    --------
    >>> is_split("val"), is_split("Train_2023"), is_split("trainer")
    (True, True, False)
    """
    return any(word in SPLITS for word in WORD.findall(name.lower()))


class Walk:
    """One pass over a folder and those that it links to, each real folder once.

    Attributes
    ----------
    linked
        Files found behind links to folders.
    repeated
        Links that lead to a folder seen before, "path: reason".
    images
        How many files named as images lie in each real folder.
    targets
        Real paths of the files that links named as images lead to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.linked = 0
        self.repeated: list[str] = []
        self.images: dict[str, int] = {}
        self.targets: list[str] = []

    def files(self) -> Iterator[Path]:
        """Yield the files in a fixed order, with broken links, which are images that are lost."""
        found: list[Path] = []
        top = os.path.realpath(self.folder)
        seen = {top}
        behind: set[str] = set()
        for root, folders, names in walk(self.folder, follow_links=True):
            folders[:] = [name for name in sorted(folders) if not is_hidden(name)]
            for name in list(folders):
                inner = os.path.join(root, name)  # noqa: PTH118
                real = os.path.realpath(inner)
                if top.startswith(os.path.join(real, "")):  # noqa: PTH118
                    folders.remove(name)
                    self.repeated.append(f"{inner}: leads to a folder around this one")
                    continue
                if real in seen:
                    folders.remove(name)
                    self.repeated.append(f"{inner}: leads to a folder that is read already")
                elif root in behind or os.path.islink(inner):  # noqa: PTH114
                    behind.add(inner)
                seen.add(real)
            files = [Path(root, name) for name in names if not is_hidden(name)]
            files = [file for file in files if file.is_file() or file.is_symlink()]
            self.linked += len(files) if root in behind else 0
            self._remember(root, files)
            found += files
        yield from sorted(found)

    def _remember(self, root: str, files: Sequence[Path]) -> None:
        images = [file for file in files if file.suffix.lower() in SUFFIXES]
        links = [file for file in images if file.is_symlink()]
        self.targets += [os.path.realpath(file) for file in links]
        if len(images) > len(links):
            self.images[os.path.realpath(root)] = len(images) - len(links)


def _require_no_link_as_text(file: Path) -> None:
    """Refuse a link to a folder that was copied as a text file with the path.

    Copying tools and git do so where they cannot make links. The images behind it would be missing
    without a warning.
    """
    if file.suffix or not file.is_file() or file.stat().st_size > MAX_PATH:
        return
    target = file.read_bytes().decode("utf-8", "replace").strip()
    if "/" in target and target.isprintable() and (file.parent / target).is_dir():
        raise UndoorError(
            f"{file} is a link to the folder {target} that was copied as text; copy the data again "
            "with their links, or put the folder itself there"
        )


def _doubt(path: Path, folders: Sequence[Path]) -> str | None:
    """Return why these folders are hardly those of classes; None where they may be."""
    names = [folder.name for folder in folders]
    listing = ", ".join(names[:8])
    exact = [name for name in names if name.lower() in SPLITS]
    if len(exact) > 1 or all(map(is_split, names)):
        return (
            f"the folders of {path} ({listing}) look like parts of a data set, not like classes; "
            f"choose one with --split {exact[0] if exact else names[0]}, or name them with "
            "--classes if they are classes"
        )
    if len(folders) == 1 and _has_folders_alone(folders[0]):
        return (
            f"{path} has one folder, {names[0]}, which holds folders itself; give {folders[0]}, or "
            "name it with --classes if it is a class"
        )
    return None


def _has_folders_alone(folder: Path) -> bool:
    inside = [item for item in folder.iterdir() if not is_hidden(item.name)]
    folders = [item for item in inside if item.is_dir()]
    return len(folders) > 1 and all(item.suffix.lower() not in SUFFIXES for item in inside)
