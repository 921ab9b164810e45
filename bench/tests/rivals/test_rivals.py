"""What all rivals have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from bench_helpers.rival_work import CLEAN, NOTHING, acc, asr, backdoored, report, seeded, weights
from helpers.tiny import assert_unchanged, random_classifier, snapshot, storages, true_trigger
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.networks import NETWORKS
from undoor_bench.rivals import RIVALS
from undoor_bench.rivals.anp import ANP
from undoor_bench.rivals.clipping import Clipping
from undoor_bench.rivals.common import Descent
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.rivals.ft_sam import FTSAM
from undoor_bench.rivals.ibau import IBAU
from undoor_bench.rivals.nad import NAD
from undoor_bench.rivals.unlearning import Unlearning

FEW = Descent(steps=3, batch=16, rate=1e-3)
QUICK: dict[str, dict[str, Any]] = {
    "fine_tuning": {"settings": FEW},
    "ft_sam": {"settings": FTSAM(descent=FEW)},
    "nad": {"settings": NAD(teacher=FEW, student=FEW)},
    "anp": {"settings": ANP(steps=3, batch=16)},
    "ibau": {"settings": IBAU(rounds=1, inner_steps=2, outer_steps=2, batch=16)},
    "clp": {},
    "unlearning": {"settings": Unlearning(descent=FEW)},
    "clipping": {"settings": Clipping(steps=10, batch=16, certain=12, certain_steps=3)},
    "bn": {},
}
CHANCY = [name for name in RIVALS if name not in ("clp", "bn")]


def run(name: str, classifier: Classifier, clean: CleanSet = CLEAN, seed: int = 0) -> Classifier:
    found = report(true_trigger())
    return RIVALS[name](classifier, clean, found, seeded(seed), **QUICK[name])


def test_every_rival_is_tested() -> None:
    assert list(RIVALS) == list(QUICK)


@pytest.mark.parametrize("name", RIVALS)
def test_leaves_what_it_was_given(name: str) -> None:
    """Weights, modes, images and torch's own generator; the copy shares no memory."""
    classifier = backdoored()
    before, images = snapshot(classifier), CLEAN.images.clone()
    chance = torch.random.get_rng_state()
    out = run(name, classifier)
    assert_unchanged(classifier, before)
    assert not any(p.requires_grad for p in classifier.parameters())
    assert torch.equal(CLEAN.images, images)
    assert torch.equal(torch.random.get_rng_state(), chance)
    assert not storages(out) & storages(classifier)


@pytest.mark.parametrize("name", RIVALS)
def test_gives_a_network_at_rest(name: str) -> None:
    out = run(name, backdoored())
    assert not out.training
    assert not any(module.training for module in out.modules())
    assert not any(p.requires_grad or p.grad is not None for p in out.parameters())
    assert not any(module._forward_hooks for module in out.modules())
    assert out.class_names == backdoored().class_names


# So few steps prune and clip nothing.
CHANGED = [name for name in RIVALS if name not in ("clp", "anp", "clipping")]


@pytest.mark.parametrize("name", CHANGED)
def test_changes_the_answers(name: str) -> None:
    out = run(name, backdoored())
    assert not torch.allclose(out(CLEAN.images), backdoored()(CLEAN.images), atol=1e-4)


@pytest.mark.parametrize("name", CHANCY)
def test_is_seeded(name: str) -> None:
    one, two, other = (run(name, backdoored(), seed=seed) for seed in (3, 3, 4))
    logits = [model(CLEAN.images[:20]) for model in (one, two, other)]
    assert torch.equal(logits[0], logits[1])
    # A few steps of ANP prune nothing, whatever the seed.
    assert name == "anp" or not torch.equal(logits[0], logits[2])


@pytest.mark.parametrize("name", [name for name in RIVALS if name != "bn"])
def test_works_without_batch_norms(name: str) -> None:
    out = run(name, backdoored(norm=False))
    assert bool(torch.isfinite(out(CLEAN.images)).all())
    assert acc(out) > 0.8


@pytest.mark.parametrize("kind", NETWORKS)
def test_works_on_the_networks_of_the_bench(kind: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = NETWORKS[kind](num_classes=6, channels=1, width=2)
    classifier = Classifier(network, input_shape=(1, 16, 16))
    images = torch.rand(12, 1, 16, 16, generator=seeded())
    clean = CleanSet(images, classifier.predict(images))
    for name, rival in RIVALS.items():
        if name == "bn" and kind == "PlainCNN":
            continue
        out = rival(classifier, clean, NOTHING, seeded(), **QUICK[name])
        assert bool(torch.isfinite(out(images)).all()), name


@pytest.mark.parametrize("name", ["fine_tuning", "ft_sam", "ibau", "unlearning", "nad", "bn"])
def test_one_image_is_too_few(name: str) -> None:
    one = replace(CLEAN, images=CLEAN.images[:1], labels=CLEAN.labels[:1])
    with pytest.raises(UndoorError, match="at least 2 clean images"):
        run(name, backdoored(), one)


@pytest.mark.parametrize("name", ["anp", "clp", "clipping"])
def test_needs_a_hidden_layer(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 6))
    classifier = Classifier(network, input_shape=(1, 8, 8))
    clean = CleanSet(CLEAN.images, classifier.predict(CLEAN.images))
    with pytest.raises(UndoorError, match="use fine_tuning"):
        run(name, classifier, clean)


def test_a_rate_too_high_is_told() -> None:
    with pytest.raises(UndoorError, match="use a lower rate"):
        fine_tuning(
            backdoored(norm=False), CLEAN, NOTHING, seeded(), settings=Descent(steps=30, rate=1e9)
        )


def test_vectors_are_inputs_too() -> None:
    """Rivals that need no maps take feature vectors."""
    classifier = random_classifier("mlp_norm")
    images = torch.rand(24, 8, generator=seeded())
    clean = CleanSet(images, classifier.predict(images))
    for name in RIVALS:
        if name == "nad":
            continue
        out = RIVALS[name](classifier, clean, NOTHING, seeded(), **QUICK[name])
        assert out(images).shape == (24, 4), name


def test_the_subject_has_a_backdoor() -> None:
    """Without which nothing above or in the other files would say much."""
    for norm in (True, False):
        model = backdoored(norm)
        assert acc(model) > 0.9
        assert asr(model) > 0.8
        assert len(weights(model)) < 10_000
