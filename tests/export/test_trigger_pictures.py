"""Exported files carry their triggers, as far as inputs show them, and never much of them."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from PIL import Image

from helpers.guarded_networks import subject
from helpers.made_repairs import make_repair
from undoor.export import trigger_pictures as room
from undoor.export.trigger_pictures import MAX_BYTES, trigger_pictures
from undoor.repairs.record import Repair
from undoor.triggers import Latent, Stamp

MODEL, _ = subject("PlainCNN")


def noise(side: int) -> Stamp:
    generator = torch.Generator().manual_seed(0)
    pattern = 255 * torch.rand(3, side, side, generator=generator)
    return Stamp("patch", torch.ones(1, side, side), pattern, "replace", MODEL.bounds)


def repair(*triggers: Stamp | Latent) -> Repair:
    made = make_repair(MODEL, tuple(range(len(triggers))))
    items = zip(made.targets, triggers, strict=True)
    return replace(made, targets=tuple(replace(item, trigger=t) for item, t in items))


def test_what_inputs_show() -> None:
    hidden = Latent("latent", torch.ones(4), "site")
    found = trigger_pictures(repair(noise(32), hidden), MODEL.space)
    assert list(found) == [0]
    with Image.open(io.BytesIO(found[0])) as image:
        assert (image.format, image.size) == ("PNG", (160, 160))


def test_large_ones_become_small() -> None:
    """Noise does not compress."""
    (picture,) = trigger_pictures(repair(noise(300)), MODEL.space).values()
    assert len(picture) <= MAX_BYTES
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (64, 64)


def test_all_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    many = repair(*[noise(32)] * 3)
    one = len(trigger_pictures(many, MODEL.space)[0])
    monkeypatch.setattr(room, "MAX_TOTAL", 2 * one)
    assert list(trigger_pictures(many, MODEL.space)) == [0, 1]
