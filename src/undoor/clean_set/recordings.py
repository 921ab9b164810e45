"""Recordings as signals: WAV and FLAC files, cut or filled to the length that a model takes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from undoor.clean_set.images import MAX_BYTES, Decoded
from undoor.clean_set.reading import UnreadableError
from undoor.errors import UndoorError, first_line
from undoor.extras import how_to_install

if TYPE_CHECKING:
    from undoor.classifier import Classifier

WAV, FLAC = ".wav", ".flac"
SUFFIXES = frozenset({WAV, FLAC})


@dataclass(frozen=True)
class Recordings:
    """How recordings become inputs of a model of signals.

    Attributes
    ----------
    channels, length
        Of an input, [C, T].
    bounds
        Of its values: silence is in their middle.
    sampling_rate
        In samples per second; None takes recordings of any.
    """

    channels: int
    length: int
    bounds: tuple[float, float]
    sampling_rate: int | None = None

    @classmethod
    def of(cls, classifier: Classifier) -> Recordings:
        """Return what a model of signals takes."""
        channels, length = classifier.input_shape
        return cls(channels, length, classifier.bounds, classifier.sampling_rate)

    def decode(self, file: Path) -> Decoded:
        """Return one recording as float32 [T, C, 1], in the units of the model.

        Of a longer one the first T samples are taken; a shorter one is followed by silence. The
        mean of several channels stands for the one that a model takes.

        Parameters
        ----------
        file
            A .wav or .flac file.

        Raises
        ------
        UnreadableError
            It is damaged, too large, of another kind, or has another sampling rate or other
            channels than the model.
        UndoorError
            The library that reads FLAC is missing.
        """
        rate, samples = _samples(file, self.length)
        if self.sampling_rate is not None and rate != self.sampling_rate:
            reason = f"{rate:,} samples per second, the model takes {self.sampling_rate:,}"
            raise UnreadableError(reason, "does not fit")
        if not samples.size:
            raise UnreadableError("no samples in it", "empty")
        if not bool(np.isfinite(samples).all()):
            raise UnreadableError("values that are not finite")
        changed: tuple[str, ...] = ()
        if samples.shape[1] != self.channels:
            if self.channels != 1:
                reason = f"{samples.shape[1]} channels, the model takes {self.channels}"
                raise UnreadableError(reason, "does not fit")
            samples, changed = samples.mean(1, keepdims=True), ("channels mixed",)
        out = np.zeros((self.length, self.channels, 1), np.float32)
        cut = samples[: self.length].clip(-1, 1)
        out[: len(cut), :, 0] = cut
        low, high = self.bounds
        return Decoded((low + (out + 1) * np.float32((high - low) / 2)).astype(np.float32), changed)


def is_recording(path: Path) -> bool:
    """Return whether a file is named as a recording is."""
    return path.suffix.lower() in SUFFIXES


def _samples(file: Path, length: int) -> tuple[int, NDArray[Any]]:
    """Return the sampling rate, and at least the first samples [n, C] in [-1, 1]."""
    if not is_recording(file):
        raise UnreadableError(f"not a recording ({file.suffix or 'no suffix'})", "no image")
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UnreadableError(f"more than {MAX_BYTES / 2**20:,.0f} MiB", "too large")
        return _wav(file) if file.suffix.lower() == WAV else _flac(file, length)
    except (UnreadableError, UndoorError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise UnreadableError("it is gone", "missing") from error
    except Exception as error:
        raise UnreadableError(first_line(error)) from error


def _wav(file: Path) -> tuple[int, NDArray[Any]]:
    from scipy.io import wavfile

    with warnings.catch_warnings():
        # Unknown chunks and a length of zero, as of streams, do no harm.
        warnings.simplefilter("ignore")
        rate, samples = wavfile.read(file)
    if samples.dtype.kind == "u":
        values = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        # Of 24 bits, the upper ones of 32 are used.
        values = samples.astype(np.float32) / 2 ** (8 * samples.dtype.itemsize - 1)
    else:
        values = samples.astype(np.float32)
    return int(rate), values.reshape(len(values), -1)


def _flac(file: Path, length: int) -> tuple[int, NDArray[Any]]:
    try:
        import soundfile
    except ImportError as error:
        raise UndoorError(
            f"{file}: FLAC files take the library soundfile; {how_to_install('audio')}, or give "
            "WAV files"
        ) from error
    # No more than is used: a small file may unpack to hours of silence.
    values, rate = soundfile.read(file, frames=length, dtype="float32", always_2d=True)
    return int(rate), values
