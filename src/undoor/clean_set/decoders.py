"""How files are decoded that hold inputs of other spaces than images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from undoor.classifier import Classifier
from undoor.clean_set import clouds, recordings
from undoor.clean_set.images import Decoded
from undoor.vocabulary import POINTS, SIGNALS


@dataclass(frozen=True)
class Decoder:
    """How files of a kind become inputs of a model.

    Attributes
    ----------
    decode
        Returns what one file holds, [A, B, 1] for an input [B, A] or [A, B].
    suffixes
        What the names of such files end with, in lower case.
    one
        What a file is, for messages.
    """

    decode: Callable[[Path], Decoded]
    suffixes: frozenset[str]
    one: str


def decoder_of(classifier: Classifier) -> Decoder | None:
    """Return how files are decoded for a model; None where they are images."""
    if classifier.space.name == SIGNALS:
        reader = recordings.Recordings.of(classifier)
        return Decoder(reader.decode, recordings.SUFFIXES, "a recording")
    if classifier.space.name == POINTS:
        return Decoder(clouds.Clouds.of(classifier).decode, clouds.SUFFIXES, "a point cloud")
    return None
