"""Bounds on neurons, of BadActs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench_helpers.rival_work import NOTHING, seeded
from helpers.tiny_texts import tiny_classifier, tiny_texts
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.text_networks import TextCNN
from undoor_bench.rivals.bad_acts import BadActs, bad_acts
from undoor_bench.rivals.common import accuracy
from undoor_bench.watch import watched

CLEAN = tiny_texts(60)
SITES = ("network.norm", "network.layers.0.1", "network.layers.1.1")


def trained() -> Classifier:
    """A network with norms that knows good words from bad ones."""
    tokenizer = tiny_classifier().tokenizer
    assert tokenizer is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = TextCNN(2, tokenizer.size, width=8)
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(60):
            optimizer.zero_grad()
            out = network(CLEAN.images.long())
            nn.functional.cross_entropy(out, CLEAN.labels).backward()
            optimizer.step()
    return Classifier(network.eval(), tokenizer=tokenizer)


def widths(classifier: Classifier) -> torch.Tensor:
    bounds = [(bound(classifier, name, "high"), bound(classifier, name, "low")) for name in SITES]
    return torch.cat([(high - low).flatten() for high, low in bounds])


def bound(classifier: Classifier, site: str, name: str) -> torch.Tensor:
    found = getattr(classifier.get_submodule(f"{site}.correction"), name)
    assert isinstance(found, torch.Tensor)
    return found


def test_bounds_become_tight_and_predictions_stay() -> None:
    before = trained()
    assert accuracy(before, CLEAN) == 1.0
    out = bad_acts(before, CLEAN, NOTHING, seeded())
    # They begin at a width of e.
    assert float(widths(out).mean()) < 0.9 * torch.e
    assert accuracy(out, CLEAN) >= BadActs().enough
    with torch.no_grad(), watched(out, [SITES[0]]) as seen:
        out(CLEAN.images)
    high = bound(out, SITES[0], "high")
    assert bool((seen[SITES[0]].amax((0, 1)) <= high[:, 0] + 1e-6).all())


def test_the_model_is_left_as_it_is() -> None:
    before = trained()
    wanted = before.logits(CLEAN.images)
    bad_acts(before, CLEAN, NOTHING, seeded(), settings=BadActs(epochs=1, rounds=1))
    assert torch.equal(before.logits(CLEAN.images), wanted)


def test_half_the_weight_is_tried_where_too_few_predictions_stay() -> None:
    stages: list[int] = []
    settings = BadActs(epochs=2, weight=1e4, enough=1.01, rounds=3)
    bad_acts(
        trained(),
        CLEAN,
        NOTHING,
        seeded(),
        settings=settings,
        progress=lambda _stage, done, _total: stages.append(done),
    )
    assert stages == [1, 2] * 3


def test_without_hidden_layers_it_is_refused() -> None:
    flat = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), input_shape=(1, 2, 2))
    clean = CleanSet(torch.rand(8, 1, 2, 2), flat.predict(torch.rand(8, 1, 2, 2)))
    clean = CleanSet(clean.images, flat.predict(clean.images))
    with pytest.raises(UndoorError, match="hidden layers"):
        bad_acts(flat, clean, NOTHING, seeded())
