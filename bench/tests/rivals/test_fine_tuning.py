"""Plain fine-tuning."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from bench_helpers.rival_work import CLEAN, NOTHING, acc, asr, backdoored, seeded, weights
from undoor_bench.rivals.common import Descent
from undoor_bench.rivals.fine_tuning import fine_tuning


def test_learns_the_clean_images_and_little_of_the_backdoor() -> None:
    before = backdoored()
    after = fine_tuning(before, CLEAN, NOTHING, seeded())
    losses = [F.cross_entropy(m(CLEAN.images), CLEAN.labels) for m in (before, after)]
    assert losses[1] < losses[0]
    assert acc(after) > acc(before) - 0.03
    # What every other rival has to beat.
    assert asr(after) > 0.5


def test_no_rate_changes_no_weight_but_the_statistics() -> None:
    """Nothing else moves: no weight decay beside the rate, no mode left behind."""
    before = backdoored()
    after = fine_tuning(before, CLEAN, NOTHING, seeded(), settings=Descent(steps=2, rate=0.0))
    assert torch.equal(weights(after), weights(before))
    norm = "network.1.running_mean"
    assert not torch.equal(after.state_dict()[norm], before.state_dict()[norm])
