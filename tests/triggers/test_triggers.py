"""Triggers as results, and banks of candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.family_names import FOR_VECTORS, INPUT_FAMILIES, input_bank
from undoor.classifier import ENTRY
from undoor.errors import UndoorError
from undoor.families.additive import AdditiveBank
from undoor.families.bank import TriggerBank
from undoor.families.blend import BlendBank
from undoor.families.frequency import FrequencyBank
from undoor.families.generator import GeneratorBank
from undoor.families.latent import LatentBank
from undoor.families.patch import PatchBank
from undoor.families.warp import WarpBank
from undoor.triggers import Stamp, Tone, Warp, load_trigger
from undoor.triggers.stamp import Mode

SHAPE = (3, 4, 5)
BOUNDS = [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (-2.5, 0.5)]
FAMILIES = sorted(INPUT_FAMILIES)
bounds_of = st.sampled_from(BOUNDS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(*shape: int, bounds: tuple[float, float], seed: int = 1) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(*shape, generator=generator(seed))


def trigger(mode: Mode, bounds: tuple[float, float] = (0.0, 1.0), channels: int = 1) -> Stamp:
    low, high = bounds
    mask = torch.rand(channels, *SHAPE[1:], generator=generator(2))
    pattern = torch.rand(SHAPE, generator=generator(3))
    if mode == "replace":
        return Stamp("patch", mask, low + (high - low) * pattern, mode, bounds)
    return Stamp("additive", 0 * mask, (high - low) * (pattern - 0.5), mode, bounds)


# Stamping


@pytest.mark.parametrize("bounds", BOUNDS)
def test_replace(bounds: tuple[float, float]) -> None:
    mask = torch.zeros(1, 4, 5)
    mask[:, :2] = 1
    mask[:, 2] = 0.25
    t = Stamp("given", mask, torch.full(SHAPE, bounds[1]), "replace", bounds)
    x = inputs(6, *SHAPE, bounds=bounds)
    before = x.clone()
    out = t(x)
    assert bool((out[:, :, :2] == bounds[1]).all())
    assert torch.allclose(out[:, :, 2], 0.75 * x[:, :, 2] + 0.25 * bounds[1])
    assert torch.equal(out[:, :, 3], x[:, :, 3])
    assert torch.equal(x, before)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_add(bounds: tuple[float, float]) -> None:
    t = trigger("add", bounds)
    x = inputs(6, *SHAPE, bounds=bounds)
    expected = np.clip(x.numpy() + t.pattern.numpy(), *bounds)
    np.testing.assert_allclose(t(x).numpy(), expected, rtol=1e-6)


def test_add_with_a_mask_replaces_and_adds() -> None:
    mask, pattern = torch.full((1, 4, 5), 0.5), torch.full(SHAPE, 0.1)
    x = inputs(2, *SHAPE, bounds=(0, 1))
    t = Stamp("given", mask, pattern, "add", (0.0, 1.0))
    assert torch.allclose(t(x), 0.5 * x + 0.1)


@given(bounds=bounds_of, mode=st.sampled_from(["replace", "add"]), factor=st.floats(-1e3, 1e3))
def test_stamped_inputs_stay_within_bounds(
    bounds: tuple[float, float], mode: Mode, factor: float
) -> None:
    t = trigger(mode, bounds)
    wild = Stamp(t.family, t.mask, t.pattern * factor, mode, bounds)
    out = wild(inputs(3, *SHAPE, bounds=bounds))
    assert out.shape == (3, *SHAPE)
    assert bounds[0] <= float(out.min())
    assert float(out.max()) <= bounds[1]


# Files


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("mode", ["replace", "add"])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip(tmp_path: Path, mode: Mode, bounds: tuple[float, float], channels: int) -> None:
    t = trigger(mode, bounds, channels)
    t.save(tmp_path / "out" / "t.npz")
    back = load_trigger(tmp_path / "out" / "t.npz", shape=SHAPE, bounds=bounds)
    x = inputs(5, *SHAPE, bounds=bounds)
    assert isinstance(back, Stamp)
    assert (back.family, back.mode, back.bounds) == (t.family, mode, bounds)
    torch.testing.assert_close(back(x), t(x), rtol=1e-5, atol=1e-5 * (bounds[1] - bounds[0]))


@pytest.mark.parametrize("bounds", BOUNDS)
def test_stored_pattern_is_in_unit_range(tmp_path: Path, bounds: tuple[float, float]) -> None:
    """The files speak of pictures, channels last, whatever the model's units."""
    t = trigger("replace", bounds)
    t.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as stored:
        pattern = stored["pattern"]
    assert pattern.shape == (4, 5, 3)
    expected = torch.rand(SHAPE, generator=generator(3)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(pattern, expected, atol=1e-5)


@pytest.mark.parametrize("family", FOR_VECTORS)
def test_feature_triggers_can_be_saved(tmp_path: Path, family: str) -> None:
    """A model on feature vectors has triggers too."""
    t = input_bank(family, 1, (8,), (0.0, 1.0), generator()).export(0)
    t.save(tmp_path / "t.npz")
    back = load_trigger(tmp_path / "t.npz", shape=(8,), bounds=(0.0, 1.0))
    x = inputs(3, 8, bounds=(0, 1))
    assert torch.allclose(back(x), t(x), atol=1e-6)


def store(file: Path, **arrays: Any) -> Path:
    defaults: dict[str, Any] = {
        "mask": np.ones((4, 5), np.float32),
        "pattern": np.full((4, 5), 0.5, np.float32),
        "mode": "replace",
    }
    merged = {**defaults, **arrays}
    np.savez(file, **{key: value for key, value in merged.items() if value is not None})
    return file


@pytest.mark.parametrize(
    ("mode", "bounds", "wanted"),
    [("replace", (0, 255), 127.5), ("replace", (-1, 1), 0.0), ("add", (-1, 1), 1.0)],
)
def test_given_grey_trigger(
    tmp_path: Path, mode: str, bounds: tuple[float, float], wanted: float
) -> None:
    """[H, W] serves all channels; an addition has no offset."""
    t = load_trigger(store(tmp_path / "t.npz", mode=mode), shape=SHAPE, bounds=bounds)
    assert isinstance(t, Stamp)
    assert t.family == "given"
    assert t.pattern.shape == SHAPE
    assert torch.allclose(t.pattern, torch.tensor(wanted))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mode": "multiply"}, "mode must be 'replace' or 'add', got 'multiply'"),
        ({"mask": None}, "missing mask"),
        ({"pattern": None}, "missing pattern"),
        ({"mode": None}, "expected an entry mode, got mask, pattern"),
        ({"mask": np.ones((5, 4))}, "expected a trigger of 4x5 pixels"),
        ({"pattern": np.ones((8, 8, 3))}, "expected a trigger of 4x5 pixels"),
        ({"pattern": np.ones((4, 5, 2))}, "expected 3 channels, got pattern 2"),
        ({"mask": np.ones((4, 5, 4))}, "mask 4"),
        ({"mask": np.ones(4)}, r"mask must be \[H, W\]"),
        ({"mask": np.array([{"a": 1}])}, "not a readable .npz"),
    ],
)
def test_load_refusals(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        load_trigger(store(tmp_path / "t.npz", **arrays), shape=SHAPE, bounds=(0, 1))


# NumPy leaves the file of a broken archive to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_load_refuses_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="no such file"):
        load_trigger(tmp_path / "t.npz", shape=SHAPE, bounds=(0, 1))
    (tmp_path / "t.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(UndoorError, match=r"t\.npz: not a readable"):
        load_trigger(tmp_path / "t.npz", shape=SHAPE, bounds=(0, 1))


@pytest.mark.parametrize("name", ["mask", "pattern"])
def test_load_refuses_nan(tmp_path: Path, name: str) -> None:
    file = store(tmp_path / "t.npz", **{name: np.full((4, 5), np.nan, np.float32)})
    with pytest.raises(UndoorError, match=r"finite|NaN"):
        load_trigger(file, shape=SHAPE, bounds=(0, 1))


# Banks


def bank_of(family: str, count: int = 4, bounds: tuple[float, float] = (0.0, 1.0)) -> TriggerBank:
    return input_bank(family, count, SHAPE, bounds, generator())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_candidates_are_exported_as_they_stand(family: str, bounds: tuple[float, float]) -> None:
    """Row m of the bank is what trigger m does."""
    bank = bank_of(family, bounds=bounds)
    assert isinstance(bank, TriggerBank)
    x = inputs(4, 6, *SHAPE, bounds=bounds)
    stamped = bank(x).detach()
    width = bounds[1] - bounds[0]
    for index in range(4):
        t = bank.export(index)
        assert (t.family, t.bounds) == (family, bounds)
        assert torch.allclose(stamped[index], t(x[index]), atol=1e-5 * width)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_an_exported_trigger_can_be_placed(family: str, bounds: tuple[float, float]) -> None:
    """It moves into one row of another bank and leaves the other rows alone."""
    t = bank_of(family, bounds=bounds).export(2)
    other = input_bank(family, 3, SHAPE, bounds, torch.Generator().manual_seed(7))
    x = inputs(3, 6, *SHAPE, bounds=bounds)
    before = other(x).detach()
    other.place(1, t)
    after = other(x).detach()
    width = bounds[1] - bounds[0]
    assert torch.allclose(after[1], t(x[1]), atol=1e-5 * width)
    assert torch.equal(after[[0, 2]], before[[0, 2]])


def test_a_placed_patch_can_still_move() -> None:
    """A mask of exact zeros and ones would have no gradient."""
    bank = PatchBank(1, SHAPE, (0.0, 1.0), generator())
    mask, pattern = torch.zeros(1, *SHAPE[1:]), torch.ones(SHAPE)
    mask[0, 0, 0] = 1
    bank.place(0, Stamp("patch", mask, pattern, "replace", (0.0, 1.0)))
    (bank(inputs(1, 6, *SHAPE, bounds=(0, 1))).sum() + bank.sizes().sum()).backward()
    for parameter in bank.parameters():
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter).all())
    grad = bank.mask_logit.grad
    assert grad is not None
    assert bool((grad != 0).all())


def test_patch_formula() -> None:
    bank = PatchBank(2, SHAPE, (-1.0, 3.0), generator())
    x = inputs(2, 5, *SHAPE, bounds=(-1, 3))
    m = 1 / (1 + np.exp(-bank.mask_logit.detach().numpy()))[:, None]
    p = -1 + 4 / (1 + np.exp(-bank.pattern_logit.detach().numpy()))[:, None]
    np.testing.assert_allclose(
        bank(x).detach().numpy(), x.numpy() * (1 - m) + m * p, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(bank.sizes().detach().numpy(), m.sum((1, 2, 3, 4)), rtol=1e-5)
    assert bank.mask_logit.shape == (2, 1, 4, 5)


def test_additive_formula() -> None:
    bank = AdditiveBank(2, SHAPE, (0.0, 255.0), generator())
    x = inputs(2, 5, *SHAPE, bounds=(0, 255))
    d = bank.delta.detach().numpy()
    expected = np.clip(x.numpy() + 255 * d[:, None], 0, 255)
    np.testing.assert_allclose(bank(x).detach().numpy(), expected, rtol=1e-5, atol=1e-4)
    norms = np.linalg.norm(d.reshape(2, -1), axis=1)
    np.testing.assert_allclose(bank.sizes().detach().numpy(), norms, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [SHAPE, (1, 3, 3), (8,)])
def test_every_parameter_has_a_gradient(family: str, shape: tuple[int, ...]) -> None:
    if len(shape) == 1 and family not in FOR_VECTORS:
        return
    bank = input_bank(family, 3, shape, (0.0, 1.0), generator())
    x = inputs(3, 5, *shape, bounds=(0, 1))
    out = bank(x)
    assert out.shape == x.shape
    (out.square().sum() + bank.sizes().sum()).backward()
    for parameter in (p for p in bank.parameters() if p.requires_grad):
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())
        assert bool((parameter.grad != 0).reshape(3, -1).any(1).all())


def test_size_of_nothing_has_a_finite_gradient() -> None:
    bank = AdditiveBank(2, SHAPE, (0.0, 1.0), generator())
    with torch.no_grad():
        bank.delta.zero_()
    bank.sizes().sum().backward()
    assert bank.delta.grad is not None
    assert bool(torch.isfinite(bank.delta.grad).all())


@pytest.mark.parametrize("family", FAMILIES)
def test_banks_are_seeded(family: str) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, same, other = (input_bank(family, 3, SHAPE, (0, 1), generator(s)) for s in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), state)
    for (name, a), b, c in zip(
        one.named_parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        if not a.requires_grad:
            continue
        assert not torch.equal(a, c), name
        # Candidates differ from one another.
        assert not torch.equal(a[0], a[1]), name


@given(bounds=bounds_of, factor=st.floats(0.1, 1e4))
@pytest.mark.parametrize("family", FAMILIES)
def test_banks_clip(family: str, bounds: tuple[float, float], factor: float) -> None:
    bank = bank_of(family, bounds=bounds)
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.mul_(factor)
    out = bank(inputs(4, 2, *SHAPE, bounds=bounds))
    assert bounds[0] <= float(out.detach().min())
    assert float(out.detach().max()) <= bounds[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_exports_are_detached(family: str) -> None:
    bank = bank_of(family)
    t = bank.export(1)
    x = inputs(2, *SHAPE, bounds=(0, 1))
    before = t(x)
    assert not before.requires_grad
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.add_(1)
    assert torch.equal(t(x), before)


def test_families() -> None:
    names = ["patch", "additive", "blend", "frequency", "warp", "tone", "generator"]
    assert names == INPUT_FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_every_family_survives_a_round_trip(
    tmp_path: Path, family: str, bounds: tuple[float, float]
) -> None:
    t = bank_of(family, bounds=bounds).export(1)
    t.save(tmp_path / "t.npz")
    back = load_trigger(tmp_path / "t.npz", shape=SHAPE, bounds=bounds)
    x = inputs(5, *SHAPE, bounds=bounds)
    assert (type(back), back.family, back.bounds, back.site) == (type(t), family, bounds, ENTRY)
    torch.testing.assert_close(back(x), t(x), rtol=1e-5, atol=1e-5 * (bounds[1] - bounds[0]))


@pytest.mark.parametrize("family", ["warp", "tone", "generator"])
def test_load_refuses_what_does_not_fit_the_model(tmp_path: Path, family: str) -> None:
    t = bank_of(family).export(0)
    arrays: dict[str, Any] = {name: np.asarray(value)[:1] for name, value in t.arrays().items()}
    np.savez(tmp_path / "t.npz", **arrays, kind=t.kind, family=family)
    with pytest.raises(UndoorError, match=r"expected \w+ of shape"):
        load_trigger(tmp_path / "t.npz", shape=SHAPE, bounds=(0, 1))


def test_load_refuses_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"kind must be one of cluster, .*stamp, .*got 'magic'"):
        load_trigger(store(tmp_path / "t.npz", kind="magic"), shape=SHAPE, bounds=(0, 1))


def test_a_warp_moves_pixels() -> None:
    """A field of one pixel to the right shows each pixel's right neighbour, the edge repeated."""
    cells = torch.zeros(2, 8, 8)
    cells[0] = 1
    x = inputs(2, *SHAPE, bounds=(0, 1))
    moved = Warp("warp", (0.0, 1.0), cells)(x)
    torch.testing.assert_close(moved[..., :-1], x[..., 1:])
    torch.testing.assert_close(moved[..., -1], x[..., -1])


def test_a_warp_is_as_large_as_its_field() -> None:
    bank = WarpBank(1, SHAPE, (0.0, 1.0), generator())
    with torch.no_grad():
        bank.cells[:, 0], bank.cells[:, 1] = 3, 4
    assert float(bank.sizes().detach()) == pytest.approx(5, rel=1e-5)


def test_a_tone_mixes_shifts_and_bends() -> None:
    """By hand, for one pixel of bounds (-1, 1), whose centred value is itself."""
    mix = torch.tensor([[0.0, 0.5], [0.0, 0.0]])
    tone = Tone("tone", (-1.0, 1.0), mix, torch.tensor([0.0, 0.1]), torch.tensor([0.0, 0.2]))
    x = torch.tensor([0.2, 0.4]).view(1, 2, 1, 1)
    torch.testing.assert_close(tone(x).flatten(), torch.tensor([0.4, 0.4 + 0.1 + 0.2 * 0.16]))


def wave(*shape: int) -> Tensor:
    """Two periods along the rows, the same in every channel."""
    return torch.sin(4 * torch.pi * (torch.arange(shape[-1]) + 0.5) / shape[-1]).expand(shape)


def test_a_frequency_stays_near_the_wave_it_starts_from() -> None:
    bank = FrequencyBank(2, (3, 16, 16), (0.0, 255.0), generator())
    bank.place(1, Stamp("frequency", torch.zeros(1, 16, 16), 9 * wave(3, 16, 16), "add", (0, 255)))
    pattern = bank.export(1).arrays()["pattern"]
    expected = 9 / 255 * wave(3, 16, 16).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(pattern, expected, atol=1e-6)
    assert float(bank.sizes()[1].detach()) == pytest.approx(np.linalg.norm(expected), rel=1e-4)
    with torch.no_grad():
        bank.coefficients.add_(torch.randn(bank.coefficients.shape, generator=generator(4)))
    spectrum = np.abs(np.fft.rfft2(bank.export(1).arrays()["pattern"], axes=(0, 1))).max(2)
    rows, columns = np.nonzero(spectrum > 1e-4)
    assert set(columns) <= {1, 2, 3}
    assert set(rows) <= {15, 0, 1}


def test_a_frequency_without_a_start_is_smooth() -> None:
    pattern = FrequencyBank(1, (3, 32, 32), (0, 1), generator()).export(0).arrays()["pattern"]
    rows, columns = np.nonzero(np.abs(np.fft.rfft2(pattern, axes=(0, 1))).max(2) > 1e-4)
    assert columns.max() <= 4
    assert set(rows) <= {*range(5), *range(28, 32)}


def test_a_blend_is_as_large_as_it_is_opaque() -> None:
    bank = BlendBank(2, SHAPE, (0.0, 1.0), generator())
    t = bank.export(1)
    assert isinstance(t, Stamp)
    assert float(t.mask.min()) == float(t.mask.max())
    assert float(t.mask.max()) == pytest.approx(float(bank.sizes()[1].detach()), rel=1e-6)


def test_a_generator_measures_what_it_adds() -> None:
    bank = GeneratorBank(2, SHAPE, (0.0, 255.0), generator())
    x = inputs(2, 5, *SHAPE, bounds=(100, 150))
    added = (bank(x) - x) / 255
    norms = added.flatten(2).norm(dim=2).mean(1)
    torch.testing.assert_close(bank.sizes(), norms, rtol=1e-4, atol=1e-6)


def test_latent_shifts_are_in_standard_deviations(tmp_path: Path) -> None:
    scale = torch.tensor([1.0, 10.0])
    bank = LatentBank(3, "some.site", scale, generator(), depth="early")
    z = torch.randn(3, 4, 2, 5, 5, generator=generator())
    moved = (bank(z) - z).detach()
    t = bank.export(1)
    torch.testing.assert_close(t(z[1]) - z[1], moved[1], rtol=1e-4, atol=1e-5)
    shift = moved[:, 0, :, 0, 0] / scale
    torch.testing.assert_close(bank.sizes().detach(), shift.norm(dim=1), rtol=1e-3, atol=1e-4)
    t.save(tmp_path / "t.npz")
    back = load_trigger(tmp_path / "t.npz", shape=SHAPE, bounds=(0, 1))
    assert (back.site, back.family) == ("some.site", "latent early")
    torch.testing.assert_close(back(z[1]), t(z[1]))
    bank.place(2, back)
    torch.testing.assert_close(bank(z)[2], t(z[2]))
