"""The models of a zoo, their true backdoors, and the images that a defender gets."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import undoor
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor_bench.zoo.data_sets import read_arrays
from undoor_bench.zoo.variant import Variant

Rows = NDArray[np.int64]
# An attack whose triggered images reach the target less often did not take.
TOOK = 0.9
PUBLIC = "public"


def took(asr: float, targets: int, acc: float) -> bool:
    """Return whether a backdoor works.

    One with several targets must know an image's own class to send it to the right one, so that no
    more than the share that the model knows, ACC, can arrive.

    >>> took(0.82, 1, 0.86), took(0.82, 10, 0.86)
    (False, True)
    """
    return asr >= TOOK * (acc if targets > 1 else 1.0)


@dataclass(frozen=True)
class Subject:
    """A model whose backdoors are known.

    Attributes
    ----------
    data
        Name of its data set.
    attack, network
        How it was made, as far as that is known; an attack with another rate, strength or number of
        backdoors than usual is an attack of its own.
    targets
        Of its backdoors, in order.
    sources
        For each of them, the classes it moves.
    asr
        Of the weakest of them; None for a clean model.
    took
        Whether there is nothing in it, or backdoors that all work.
    opener
        Opens the folder; `undoor.load`, which runs no code that only a file of the model names,
        where there is none.
    """

    folder: Path
    data: str
    attack: str
    network: str
    targets: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]
    asr: float | None
    took: bool
    opener: Callable[[Path], Classifier] | None = None

    def load(self) -> Classifier:
        """Return the model, opened anew."""
        return (self.opener or undoor.load)(self.folder)

    @property
    def name(self) -> str:
        """The name of the model: that of its folder."""
        return self.folder.name

    @property
    def public(self) -> bool:
        """Whether the model was found elsewhere, and not trained by `undoor-bench zoo`."""
        return self.network == PUBLIC

    def facts(self) -> dict[str, Any]:
        """Return the facts of a model that every record holds."""
        return {
            "model": self.name,
            "attack": self.attack,
            "data": self.data,
            "network": self.network,
            "targets": list(self.targets),
            "sources": [list(sources) for sources in self.sources],
        }


def subjects(zoo: Path) -> Iterator[Subject]:
    """Yield the models of a folder of folders with ``model.toml`` and ``truth.json``, by name.

    Raises
    ------
    UndoorError
        There is none, or a file is broken.
    """
    files = sorted(zoo.glob("*/truth.json"))
    if not files:
        raise UndoorError(f"{zoo}: expected folders with model.toml and truth.json, got none")
    for file in files:
        try:
            yield _subject(file.parent, json.loads(file.read_text()))
        except (OSError, ValueError, KeyError) as error:
            raise UndoorError(f"{file}: not a record of a model ({error!r})") from error


def _subject(folder: Path, truth: dict[str, Any]) -> Subject:
    if "backdoors" not in truth:
        return _found_elsewhere(folder, truth)
    moves: dict[int, list[int]] = {}
    for backdoor in truth["backdoors"]:
        for source, target in backdoor["labels"].items():
            moves.setdefault(target, []).append(int(source))
    return Subject(
        folder=folder,
        data=truth["data"],
        attack=Variant.of(truth).named(truth["attack"]),
        network=truth["network"],
        targets=tuple(sorted(moves)),
        sources=tuple(tuple(moves[target]) for target in sorted(moves)),
        asr=min((backdoor["asr"] for backdoor in truth["backdoors"]), default=None),
        took=all(
            took(backdoor["asr"], len(set(backdoor["labels"].values())), truth["acc"])
            for backdoor in truth["backdoors"]
        ),
    )


def _found_elsewhere(folder: Path, truth: dict[str, Any]) -> Subject:
    """Return a public model.

    Its truth.json has target, source (null for all others) and the measured asr.
    """
    data = tomllib.loads((folder / "model.toml").read_text())["data"]["name"]
    target, source = truth["target"], truth["source"]
    return Subject(
        folder=folder,
        data=data,
        attack="clean" if target is None else "public",
        network=PUBLIC,
        targets=() if target is None else (target,),
        sources=() if target is None else (() if source is None else (source,),),
        asr=truth.get("asr"),
        took=truth.get("asr") is None or took(truth["asr"], 1, 1.0),
    )


def defence_images(file: Path, per_class: int, seed: int) -> CleanSet:
    """Return `per_class` test images per class, drawn by `seed`; all of a smaller class.

    Parameters
    ----------
    file
        An .npz with x_test and y_test, or what a data set derived from one would be called.
    """
    x, y = read_arrays(file, "test")
    rows, _ = drawn(y, per_class, seed)
    return CleanSet.from_arrays(x[rows], y[rows])


def drawn(y: Rows, per_class: int | Sequence[int], seed: int) -> tuple[Rows, Rows]:
    """Return the rows of `per_class` images per class with labels y [N], and all others, shuffled.

    Parameters
    ----------
    per_class
        A number for all classes, or one for each that occurs, in order.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    labels = np.unique(y)
    counts = np.broadcast_to(per_class, len(labels))
    chosen = np.concatenate(
        [order[y[order] == label][:n] for label, n in zip(labels, counts, strict=True)]
    )
    return chosen, order[~np.isin(order, chosen)]
