"""How attackers poison images."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.triggers import Stamp, Trigger
from undoor_bench.attacks import Attack, Role
from undoor_bench.attacks.anywhere import Anywhere
from undoor_bench.attacks.badnets import badnets
from undoor_bench.attacks.blend import blend
from undoor_bench.attacks.chessboard import chessboard
from undoor_bench.attacks.clean_label import CleanLabel
from undoor_bench.attacks.colour_shift import colour_shift
from undoor_bench.attacks.fixed import Fixed
from undoor_bench.attacks.input_aware import InputAware
from undoor_bench.attacks.labels import all_to_all, all_to_one, some_to_one
from undoor_bench.attacks.latently_alike import LatentlyAlike
from undoor_bench.attacks.low_frequency import low_frequency
from undoor_bench.attacks.one_pixel import one_pixel
from undoor_bench.attacks.sig import sig
from undoor_bench.attacks.trojan import trojan
from undoor_bench.attacks.wanet import WaNet

SHAPE = (3, 12, 10)
CLASSES = 5
TARGET = 2
TO_ONE = all_to_one(TARGET, CLASSES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 20) -> Tensor:
    return torch.rand(count, *SHAPE, generator=generator(9))


def classes(count: int) -> Tensor:
    return torch.arange(count) % CLASSES


def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(SHAPE), CLASSES))


STAMPS: dict[str, Callable[[], Trigger]] = {
    "badnets": lambda: badnets(SHAPE, generator()),
    "blend": lambda: blend(SHAPE, generator()),
    "chessboard": lambda: chessboard(SHAPE),
    "colour shift": lambda: colour_shift(SHAPE),
    "low frequency": lambda: low_frequency(SHAPE, generator()),
    "one pixel": lambda: one_pixel(SHAPE, generator()),
    "sig": lambda: sig(SHAPE),
    "trojan": lambda: trojan(linear(), images(), TARGET, generator(), side=3, steps=5),
}
ATTACKS: dict[str, Callable[[], Attack]] = {
    **{
        name: lambda make=make: Fixed(make(), TO_ONE, rate=0.2)  # type: ignore[misc]
        for name, make in STAMPS.items()
    },
    "source-specific": lambda: Fixed(
        chessboard(SHAPE), some_to_one([0, 1], TARGET), rate=0.2, cover_rate=0.2
    ),
    "all to all": lambda: Fixed(chessboard(SHAPE), all_to_all(CLASSES), rate=0.2),
    "clean label": lambda: CleanLabel(chessboard(SHAPE), TARGET, CLASSES, rate=0.1),
    "perturbed clean label": lambda: CleanLabel(
        chessboard(SHAPE), TARGET, CLASSES, rate=0.1, surrogate=linear(), steps=2
    ),
    "wanet": lambda: WaNet(SHAPE, TO_ONE, generator()),
    "latently alike": lambda: LatentlyAlike(chessboard(SHAPE), TARGET, CLASSES, rate=0.2),
    "anywhere": lambda: Anywhere(SHAPE, TO_ONE, generator()),
    "input-aware": lambda: InputAware(SHAPE, TO_ONE, generator()),
}
EVERY = pytest.mark.parametrize("name", ATTACKS)


# Every attack


@EVERY
def test_triggers_change_copies_within_bounds(name: str) -> None:
    x = images()
    before = x.clone()
    with torch.no_grad():
        out = ATTACKS[name]().trigger(x)
    assert torch.equal(x, before)
    assert out.shape == x.shape
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1
    assert bool((out != x).flatten(1).any(1).all())


@EVERY
def test_roles_are_shares_of_those_allowed(name: str) -> None:
    attack, y = ATTACKS[name](), classes(200)
    roles = attack.roles(y, generator(1))
    assert int((roles == Role.POISONED).sum()) == round(attack.rate * 200)
    assert int((roles == Role.COVER).sum()) == round(attack.cover_rate * 200)
    assert bool(attack.may_poison(y)[roles == Role.POISONED].all())
    assert bool(attack.may_cover(y)[roles == Role.COVER].all())
    assert torch.equal(roles, attack.roles(y, generator(1)))
    assert not torch.equal(roles, attack.roles(y, generator(2)))


@EVERY
def test_poison_follows_the_roles(name: str) -> None:
    attack, x, y = ATTACKS[name](), images(50), classes(50)
    roles = attack.roles(y, generator(1))
    x_before, y_before = x.clone(), y.clone()
    with torch.no_grad():
        images_out, labels = attack.poison(x, y, roles)
    assert torch.equal(x, x_before)
    assert torch.equal(y, y_before)
    changed = (images_out != x).flatten(1).any(1)
    assert bool((changed == (roles != Role.CLEAN)).all())
    poisoned = roles == Role.POISONED
    assert torch.equal(labels[~poisoned], y[~poisoned])
    if "clean label" in name:
        assert torch.equal(labels, y)
        assert bool((y[poisoned] == TARGET).all())
    else:
        assert labels[poisoned].tolist() == [attack.labels[int(v)] for v in y[poisoned]]


@EVERY
def test_wanted_answers(name: str) -> None:
    attack, y = ATTACKS[name](), classes(15)
    rows, wanted = attack.wanted(y)
    assert rows.tolist() == [i for i in range(15) if int(y[i]) in attack.labels]
    assert wanted.tolist() == [attack.labels[int(y[i])] for i in rows]


@EVERY
def test_a_stored_state_gives_the_same_images_again(name: str) -> None:
    """Of an attack that has learned or was drawn otherwise; what is restored is a copy."""
    attack, other, x = ATTACKS[name](), ATTACKS[name](), images()
    with torch.no_grad():
        attack.restore({key: 0.7 * value + 0.05 for key, value in attack.state().items()})
        stored = {key: value.clone() for key, value in attack.state().items()}
        wanted = attack.trigger(x)
        assert not torch.allclose(wanted, other.trigger(x), atol=1e-4)
        other.restore(stored)
        for value in stored.values():
            value.zero_()
        assert torch.equal(other.trigger(x), wanted)


@EVERY
def test_a_state_of_something_else_is_refused(name: str) -> None:
    attack = ATTACKS[name]()
    state = {key: value[..., :-1] for key, value in attack.state().items()}
    with pytest.raises(UndoorError, match="expected the state of such an attack"):
        attack.restore(state)
    with pytest.raises(UndoorError, match="same kind"):
        attack.restore({})


@pytest.mark.parametrize(
    ("labels", "rate", "cover_rate"),
    [({}, 0.1, 0), ({1: 1}, 0.1, 0), (TO_ONE, 1.1, 0), (TO_ONE, 0.1, -0.1)],
)
def test_nonsense_is_refused(labels: dict[int, int], rate: float, cover_rate: float) -> None:
    with pytest.raises(UndoorError, match="expected"):
        Fixed(chessboard(SHAPE), labels, rate=rate, cover_rate=cover_rate)


# The triggers, against their formulas


def test_badnets_is_a_small_patch_off_the_edge() -> None:
    for seed in range(20):
        stamp = badnets(SHAPE, generator(seed))
        rows, columns = stamp.mask[0].nonzero(as_tuple=True)
        assert stamp.mask.sum() == 9
        assert rows.max() - rows.min() == 2
        assert columns.max() - columns.min() == 2
        assert rows.min() >= 1
        assert columns.min() >= 1
        assert rows.max() <= SHAPE[1] - 2
        assert columns.max() <= SHAPE[2] - 2
        assert set(stamp.pattern.unique().tolist()) == {0.0, 1.0}


def test_a_patch_shines_through() -> None:
    x, full = images(), badnets(SHAPE, generator())
    faint = badnets(SHAPE, generator(), opacity=0.25)
    assert torch.allclose(faint(x), 0.75 * x + 0.25 * full(x), atol=1e-6)


def test_blend_mixes() -> None:
    x = images()
    stamp = blend(SHAPE, generator(), opacity=0.3)
    assert torch.allclose(stamp(x), 0.7 * x + 0.3 * stamp.pattern, atol=1e-6)


def test_sig_is_a_sinusoid_along_the_rows() -> None:
    pattern = sig(SHAPE, strength=0.1, frequency=2).pattern.numpy()
    column = np.arange(SHAPE[2])
    expected = 0.1 * np.sin(2 * np.pi * column * 2 / SHAPE[2])
    np.testing.assert_allclose(pattern, np.broadcast_to(expected, SHAPE), atol=1e-6)


def test_one_pixel_is_one_pixel() -> None:
    pattern = one_pixel(SHAPE, generator(), strength=0.4).pattern
    assert int((pattern != 0).any(0).sum()) == 1
    assert pattern.max() == pytest.approx(0.4)


def test_low_frequency_has_no_high_frequencies() -> None:
    pattern = low_frequency(SHAPE, generator(), strength=0.2).pattern.numpy()
    spectrum = np.abs(dctn(pattern, axes=(1, 2)))
    assert np.abs(pattern).max() == pytest.approx(0.2)
    assert spectrum[:, 4:].max() < 1e-4 * spectrum.max()
    assert spectrum[:, :, 4:].max() < 1e-4 * spectrum.max()


def test_colour_shift_wants_a_shift_a_channel() -> None:
    with pytest.raises(UndoorError, match="1 channels, got 3"):
        colour_shift((1, 4, 4))


def test_trojan_excites_its_neurons() -> None:
    """More optimisation, larger inputs of the last layer where the target listens."""
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(SHAPE), 16), nn.ReLU())
    last = nn.Linear(16, CLASSES)
    network = nn.Sequential(hidden, last)
    neurons = last.weight[TARGET].topk(5).indices
    few, many = (
        trojan(network, images(), TARGET, generator(), side=6, steps=steps) for steps in (1, 60)
    )
    with torch.no_grad():
        assert hidden(many(images()))[:, neurons].mean() > hidden(few(images()))[:, neurons].mean()
    assert all(parameter.grad is None for parameter in network.parameters())
    with pytest.raises(UndoorError, match="linear layer"):
        trojan(nn.Flatten(), images(), TARGET, generator())


# The attacks that are more than a stamp


def test_wanet_warps_by_less_than_a_few_pixels() -> None:
    """Smooth pictures stay nearly what they are; one field for all images, noise for the cover."""
    attack = WaNet(SHAPE, TO_ONE, generator())
    ramp = torch.linspace(0, 1, SHAPE[2]).expand(1, *SHAPE)
    moved = attack.trigger(ramp) - ramp
    assert 0 < float(moved.abs().max()) < 3 / SHAPE[2]
    twice = attack.trigger(images(1).repeat(2, 1, 1, 1))
    assert torch.equal(twice[0], twice[1])
    noisy = attack.cover(images(1).repeat(2, 1, 1, 1))
    assert not torch.equal(noisy[0], noisy[1])


def test_wanet_without_strength_changes_nothing() -> None:
    attack = WaNet(SHAPE, TO_ONE, generator(), strength=0)
    assert torch.allclose(attack.trigger(images()), images(), atol=1e-5)


def test_input_aware_triggers_differ_and_learn() -> None:
    attack = InputAware(SHAPE, TO_ONE, generator())
    x = images()
    parameters = attack.trigger_parameters()
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    first = float(attack.penalty(x).detach())
    for _ in range(10):
        optimizer.zero_grad()
        attack.penalty(x).backward()
        optimizer.step()
    assert float(attack.penalty(x).detach()) < first
    with torch.no_grad():
        added = attack.trigger(x) - x
        crossed = attack.cover(x)
    assert not torch.allclose(added[0], added[1], atol=1e-4)
    assert not torch.allclose(crossed, attack.trigger(x).detach(), atol=1e-4)


def test_clean_label_perturbs_against_the_surrogate() -> None:
    """Within the strength, and so that the surrogate is less sure of the right label."""
    network, x = linear(), images(10)
    y = torch.full((10,), TARGET)
    nothing = Stamp("given", torch.zeros(1, *SHAPE[1:]), torch.zeros(SHAPE), "add", (0.0, 1.0))
    attack = CleanLabel(
        nothing, TARGET, CLASSES, rate=0.1, surrogate=network, strength=0.05, steps=3
    )
    out, _ = attack.poison(x, y, torch.full((10,), int(Role.POISONED)))
    assert 0 < float((out - x).abs().max()) <= 0.05 + 1e-6
    loss = nn.functional.cross_entropy
    with torch.no_grad():
        assert loss(network(out), y) > loss(network(x), y)
    assert torch.equal(attack.trigger(x), x)
