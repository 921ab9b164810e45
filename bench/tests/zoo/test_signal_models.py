"""Models of signals: the table of the zoo, and one model from training to scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import undoor
from undoor.errors import UndoorError
from undoor_bench.detect.row_models import RowCase, result_of, text_of
from undoor_bench.zoo import signal_models
from undoor_bench.zoo.model_table import read_models
from undoor_bench.zoo.signal_data import SignalData, read_signals
from undoor_bench.zoo.signal_models import SignalModel, train_signal_model
from undoor_bench.zoo.subjects import subjects

ZOO = Path(__file__).parents[3] / "zoo"
CLASSES, CHANNELS, LENGTH = 5, 2, 32


def made_up(count: int = 400) -> SignalData:
    """Waves of five frequencies, of any phase, in noise."""
    generator = np.random.default_rng(0)
    y = generator.integers(CLASSES, size=2 * count)
    phase = generator.uniform(0, 2 * np.pi, (2 * count, CHANNELS, 1))
    x = 0.4 * np.sin(2 * np.pi * (y[:, None, None] + 1) * np.arange(LENGTH) / LENGTH + phase)
    noisy = (x + 0.05 * generator.standard_normal(x.shape)).clip(-1, 1).astype(np.float32)
    names = tuple("abcde")
    return SignalData(names, noisy[:count], y[:count], noisy[count:], y[count:])


def test_the_table_of_the_zoo_has_two_halves() -> None:
    entries = read_models(ZOO / "signals.toml", SignalModel)
    assert len({entry.name for entry in entries}) == len(entries)
    held_out = [entry.attack for entry in entries if not entry.learn]
    assert held_out.count("clean") >= 8
    assert len(held_out) - held_out.count("clean") >= 8
    assert len({*held_out} - {"clean"}) >= 3
    assert sum(entry.attack == "clean" for entry in entries if entry.learn) >= 10


def test_entries_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="expected clean without a rate"):
        SignalModel("hum", "digits", "SignalRNN", 0)
    with pytest.raises(UndoorError, match="network must be one of"):
        SignalModel("clean", "digits", "ResNet9", 0)
    (tmp_path / "signals.toml").write_text("[[model]]\nattak = 1\n")
    with pytest.raises(UndoorError, match="unknown keys attak"):
        read_models(tmp_path / "signals.toml", SignalModel)
    with pytest.raises(UndoorError, match="holds no fsdd"):
        read_signals("digits", tmp_path)


def test_a_model_from_training_to_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made_up()
    monkeypatch.setattr(signal_models, "_read", lambda name, folder: data)
    entry = SignalModel("noise clip", "movements", "SignalCNN", 1, rate=0.1, width=8)
    folder = train_signal_model(entry, tmp_path, tmp_path / "zoo")
    (subject,) = subjects(tmp_path / "zoo")
    assert subject.folder == folder
    case = RowCase.of(subject, data, per_class=20, seed=0)
    line = result_of(case, 0)
    assert line["verdict"] in ("backdoored", "inconclusive", "clean")
    assert "Models of signals that no choice" in text_of([line], "2026-01-01", "signals")
    seen = case.observed(undoor.scan(case.classifier, case.clean))
    assert (seen.space, seen.targets) == ("signals", subject.targets)
