"""The fit on pairs, against maps known beforehand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from undoor.align import paired
from undoor.align.onepass import fit_moments
from undoor.align.paired import RANK, fit_pairs
from undoor.vocabulary import Granularity

SHAPES = [(200, 4, 5, 5), (400, 6), (200, 4, 7)]


def activations(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Normal, with a mean and a spread for each channel."""
    generator = torch.Generator().manual_seed(seed)
    ends = [1] * (len(shape) - 2)
    spread = (0.5 + torch.rand(shape[1], generator=generator)).view(-1, *ends)
    centre = torch.randn(shape[1], generator=generator).view(-1, *ends)
    return centre + spread * torch.randn(shape, generator=generator)


def mixed(z: Tensor, seed: int = 1, strength: float = 0.2) -> Tensor:
    """z under an invertible linear map of its channels, and a shift."""
    generator = torch.Generator().manual_seed(seed)
    channels = z.shape[1]
    mixing = torch.eye(channels) + strength * torch.randn(channels, channels, generator=generator)
    shift = torch.randn(channels, generator=generator)
    return (z.movedim(1, -1) @ mixing + shift).movedim(-1, 1)


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean())


@pytest.mark.parametrize("granularity", ["channel", "position"])
@pytest.mark.parametrize("shape", SHAPES)
def test_undoes_a_map_of_channels(shape: tuple[int, ...], granularity: Granularity) -> None:
    """Which moments of single units cannot: on inputs that it was not fitted on, too."""
    clean, new = activations((2 * shape[0], *shape[1:])).chunk(2)
    h = fit_pairs(clean, mixed(clean), granularity)
    moments = fit_moments(clean, mixed(clean), granularity)
    assert error(h(mixed(new)), new) < 0.4 * error(moments(mixed(new)), new)


@pytest.mark.parametrize("granularity", ["channel", "position"])
@pytest.mark.parametrize("shape", SHAPES)
def test_without_trigger_nothing_changes(shape: tuple[int, ...], granularity: Granularity) -> None:
    clean = activations(shape)
    h = fit_pairs(clean, clean, granularity)
    within = (clean > h.low) & (clean < h.high)
    torch.testing.assert_close(h(clean)[within], clean[within], rtol=1e-4, atol=1e-4)
    assert float(within.float().mean()) > 0.98


def test_clean_mean_comes_back() -> None:
    clean = activations((300, 5, 4, 4))
    triggered = mixed(clean)
    axes = (0, 2, 3)
    h = fit_pairs(clean, triggered, "channel")
    h.low.fill_(-torch.inf)
    h.high.fill_(torch.inf)
    torch.testing.assert_close(h(triggered).mean(axes), clean.mean(axes), rtol=1e-3, atol=1e-3)


def test_shift_of_each_position_is_undone() -> None:
    clean = activations((200, 3, 6, 6))
    shift = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(3))
    h = fit_pairs(clean, clean + shift, "position")
    assert error(h(clean + shift), clean) < 1e-3
    assert error(fit_pairs(clean, clean + shift, "channel")(clean + shift), clean) > 0.1


def test_new_extremes_are_cut_off() -> None:
    """A trigger that no estimate showed does not pass unlimited."""
    clean = activations((200, 4, 5, 5))
    h = fit_pairs(clean, mixed(clean), "channel")
    out = h(100 * activations((50, 4, 5, 5), seed=8))
    assert bool((out <= clean.amax((0, 2, 3))[:, None, None]).all())
    assert bool((out >= clean.amin((0, 2, 3))[:, None, None]).all())


def test_without_bounds() -> None:
    clean = activations((200, 4, 5, 5))
    bounded, free = (fit_pairs(clean, mixed(clean), "channel", clip=clip) for clip in (True, False))
    assert bool((free.low == -torch.inf).all())
    assert bool((free.high == torch.inf).all())
    for part in ("scale", "shift", "down", "up"):
        assert torch.equal(free.parts[part], bounded.parts[part])


@pytest.mark.parametrize(("channels", "rank"), [(1, 1), (3, 3), (RANK, RANK), (40, RANK)])
def test_rank(channels: int, rank: int) -> None:
    clean = activations((100, channels, 3, 3))
    h = fit_pairs(clean, mixed(clean, strength=0.05), "channel")
    shapes = {name: tuple(part.shape) for name, part in h.parts.items()}
    assert (shapes["down"], shapes["up"]) == ((rank, channels), (channels, rank))


def test_few_rows_of_many_channels() -> None:
    """Fewer inputs than features: finite, and nearer to the clean ones than without."""
    clean = activations((12, 64))
    triggered = clean + 3 * torch.randn(64, generator=torch.Generator().manual_seed(2))
    h = fit_pairs(clean, triggered, "channel")
    assert error(h(triggered), clean) < 0.2 * error(triggered, clean)


@pytest.mark.parametrize("value", [0.0, 2.5, 1e6])
def test_constant_units(value: float) -> None:
    clean = activations((50, 3, 4, 4))
    triggered = clean.clone()
    triggered[:, 1] = value
    h = fit_pairs(clean, triggered, "channel")
    assert bool(torch.isfinite(h(triggered)).all())
    assert all(bool(torch.isfinite(part).all()) for part in h.parts.values())


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan, 1e30])
@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_number(value: float, which: int) -> None:
    """A network that overflows is told of where its guard is calibrated, not here."""
    pair = [activations((50, 3, 4, 4)), mixed(activations((50, 3, 4, 4)))]
    pair[which][3, 1, 2, 2] = value
    assert fit_pairs(pair[0], pair[1], "channel").parts.keys() == {"scale", "shift", "low", "high"}


def test_rows_are_a_sample_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what 40,000 rows say a thousand say nearly all."""
    clean = activations((400, 4, 10, 10))
    triggered = mixed(clean)
    whole = fit_pairs(clean, triggered, "channel")
    monkeypatch.setattr(paired, "MAX_WORK", 16_000)
    some = fit_pairs(clean, triggered, "channel")
    assert not torch.equal(whole.parts["down"], some.parts["down"])
    away = error(whole(triggered), triggered)
    assert error(whole(triggered), some(triggered)) < 0.01 * away


def test_memory_layout_makes_no_difference() -> None:
    clean = activations((60, 5, 6, 6))
    triggered = mixed(clean)
    like = torch.channels_last
    one = fit_pairs(clean, triggered, "channel")
    two = fit_pairs(
        clean.contiguous(memory_format=like), triggered.contiguous(memory_format=like), "channel"
    )
    torch.testing.assert_close(one(triggered), two(triggered), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(59, 3, 4, 4), (60, 2, 4, 4)])
def test_what_is_no_pair(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected clean and triggered activations of one shape"):
        fit_pairs(activations((60, 3, 4, 4)), activations(shape), "channel")


@given(st.integers(0, 1000), st.sampled_from(["channel", "position"]))
def test_no_worse_than_moments_on_what_it_saw(seed: int, granularity: Granularity) -> None:
    clean = activations((80, 4, 3, 3), seed)
    triggered = mixed(clean, seed + 1)
    ours = fit_pairs(clean, triggered, granularity)
    moments = fit_moments(clean, triggered, granularity, clip=False)
    assert error(ours(triggered), clean) <= error(moments(triggered), clean) * 1.01
