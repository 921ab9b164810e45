"""Signals: their shapes, their pictures, and what does not fit them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.spaces.images import IMAGES
from undoor.spaces.registry import space_of
from undoor.spaces.signals import SIGNALS
from undoor.spaces.vectors import VECTORS

LENGTH = 64


def listener(**options: object) -> Classifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2 * LENGTH, 3))
    return Classifier(network, input_shape=(2, LENGTH), bounds=(-1, 1), **options)  # type: ignore[arg-type]


def test_shapes_tell_signals_from_images_and_vectors() -> None:
    assert space_of((1, 4096)) is space_of((6, 32)) is SIGNALS
    assert space_of((3, 32, 32)) is IMAGES
    assert space_of((4096,)) is space_of((128, 3)) is VECTORS


def test_a_picture_is_dark_where_the_wave_is() -> None:
    x = torch.full((1, 1, 100), 0.5)
    x[..., 40:60:2] = 1.0
    (picture,) = SIGNALS.picture(x)
    dark = picture[0] < 0.5
    assert picture.shape == (1, 80, 100)
    assert int(dark[:, 10].sum()) <= 2
    assert int(dark[:, 50].sum()) >= 39
    assert not bool(dark[:5, 70].any())


def test_channels_are_shown_below_each_other() -> None:
    assert SIGNALS.picture(torch.rand(2, 3, 5000)).shape == (2, 1, 240, 320)


def test_a_sampling_rate_is_one_of_signals() -> None:
    assert listener(sampling_rate=8000).sampling_rate == 8000
    assert listener().fingerprint() != listener(sampling_rate=8000).fingerprint()
    with pytest.raises(UndoorError, match="at least 1, of the space 'signals', got 0"):
        listener(sampling_rate=0)
    with pytest.raises(UndoorError, match="got 8000 of 'vectors'"):
        Classifier(nn.Linear(4, 2), input_shape=(4,), sampling_rate=8000)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 8), "look like images of shape .* takes signals of 2 channels and 64 samples"),
        ((2, 60), "the signals have 2 channels of 60 samples, the model takes 2 of 64; cut"),
    ],
)
def test_what_does_not_fit_is_named(shape: tuple[int, ...], message: str) -> None:
    found = CleanSet(torch.zeros(6, *shape), torch.arange(6) % 3)
    with pytest.raises(UndoorError, match=message):
        found.for_classifier(listener())
