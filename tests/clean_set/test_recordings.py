"""Recordings in folders, and signals in archives, as a model of signals takes them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import read_clean_set
from undoor.clean_set.inputs import read_images
from undoor.errors import UndoorError

LENGTH, RATE = 400, 8000


def listener(bounds: tuple[float, float] = (-1, 1), channels: int = 1) -> Classifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * LENGTH, 2))
    return Classifier(
        network,
        input_shape=(channels, LENGTH),
        bounds=bounds,
        class_names=("no", "yes"),
        sampling_rate=RATE,
    )


def ramp(length: int, dtype: str = "int16") -> np.ndarray:
    values = np.linspace(-0.5, 0.5, length)
    if dtype.startswith("float"):
        return values.astype(dtype)
    if dtype == "uint8":
        return (128 + 128 * values).astype(dtype)
    return (values * 2 ** (8 * np.dtype(dtype).itemsize - 1)).astype(dtype)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("no", "yes"):
        (tmp_path / name).mkdir()
        for index, length in enumerate((300, 500)):
            wavfile.write(tmp_path / name / f"{index}.wav", RATE, ramp(length))
    return tmp_path


def test_long_ones_are_cut_and_short_ones_end_in_silence(folder: Path) -> None:
    clean = read_clean_set(folder, classifier=listener())
    assert clean.images.shape == (4, 1, LENGTH)
    assert clean.labels.tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(clean.images[0, 0, 299], torch.tensor(0.5), atol=1e-4, rtol=0)
    assert bool((clean.images[0, 0, 300:] == 0).all())
    expected = torch.from_numpy(ramp(500)[:LENGTH].astype(np.float32) / 2**15)
    torch.testing.assert_close(clean.images[1, 0], expected)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_every_kind_of_wav_means_the_same(folder: Path, dtype: str) -> None:
    wavfile.write(folder / "no" / "0.wav", RATE, ramp(LENGTH, dtype))
    x, names, _ = read_images([folder / "no" / "0.wav"], listener(bounds=(0, 10)))
    assert names == [str(folder / "no" / "0.wav")]
    expected = torch.linspace(2.5, 7.5, LENGTH)
    torch.testing.assert_close(x[0, 0], expected, atol=0.06, rtol=0)


def test_two_channels_are_mixed_for_a_model_of_one(folder: Path) -> None:
    both = np.stack([ramp(LENGTH), np.zeros(LENGTH, np.int16)], 1)
    wavfile.write(folder / "no" / "0.wav", RATE, both)
    clean = read_clean_set(folder, classifier=listener())
    assert clean.reading.changed["channels mixed"] == 1
    assert float(clean.images[0].max()) == pytest.approx(0.25, abs=1e-3)
    with pytest.raises(UndoorError, match="1 channels, the model takes 2"):
        read_clean_set(folder, classifier=listener(channels=2))


def test_what_cannot_be_used_is_counted(folder: Path) -> None:
    for index in range(4, 10):
        wavfile.write(folder / "no" / f"{index}.wav", RATE, ramp(LENGTH))
    wavfile.write(folder / "no" / "2.wav", 16_000, ramp(LENGTH))
    (folder / "no" / "3.wav").write_bytes(b"RIFF, but no more than that")
    (folder / "yes" / "notes.txt").write_text("spoken in June")
    clean = read_clean_set(folder, classifier=listener())
    assert dict(clean.reading.lost) == {"does not fit": 1, "damaged": 1}
    text = " ".join(clean.skipped)
    assert "16,000 samples per second, the model takes 8,000" in text
    assert "notes.txt: not a recording file (.txt)" in text


def test_archives_hold_signals_of_the_length(tmp_path: Path) -> None:
    x = np.zeros((4, 1, LENGTH), np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(4) % 2)
    assert read_clean_set(tmp_path / "d.npz", classifier=listener()).images.shape == x.shape
    np.savez(tmp_path / "e.npz", x=x[..., :100], y=np.arange(4) % 2)
    with pytest.raises(UndoorError, match="the signals have 1 channels of 100 samples"):
        read_clean_set(tmp_path / "e.npz", classifier=listener())


def test_flac_needs_a_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    (folder / "no" / "0.wav").rename(folder / "no" / "0.flac")
    with pytest.raises(UndoorError, match=r"install undoor's extra audio.*or give WAV"):
        read_clean_set(folder, classifier=listener())
