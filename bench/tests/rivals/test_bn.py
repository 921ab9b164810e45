"""Batch norm statistics of clean images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench_helpers.rival_work import CLEAN, NOTHING, acc, backdoored, seeded, weights
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor_bench.rivals.bn import bn
from undoor_bench.watch import watched


def test_statistics_are_those_of_the_data_behind_corrected_layers() -> None:
    """Each layer's input in the changed network has the mean and variance the layer keeps."""
    out = bn(backdoored(), CLEAN, NOTHING, seeded())
    with watched(out, ["network.0", "network.3"]) as seen:
        out(CLEAN.images)
    for source, norm in (("network.0", "network.1"), ("network.3", "network.4")):
        variance, mean = torch.var_mean(seen[source], (0, 2, 3))
        layer = out.get_submodule(norm)
        assert torch.allclose(layer.get_buffer("running_mean"), mean, atol=1e-4)
        assert torch.allclose(layer.get_buffer("running_var"), variance, rtol=1e-2)


def test_heals_statistics_that_were_spoilt_and_no_weight() -> None:
    spoilt = Classifier(backdoored().network, input_shape=(1, 8, 8))
    norm = spoilt.get_submodule("network.1")
    norm.get_buffer("running_mean").add_(3 * norm.get_buffer("running_var").sqrt())
    assert acc(spoilt) < 0.6
    out = bn(spoilt, CLEAN, NOTHING, seeded())
    assert acc(out) > 0.95
    assert torch.equal(weights(out), weights(spoilt))
    assert out.get_submodule("network.1").momentum == norm.momentum


def test_other_modules_stay_in_inference() -> None:
    """Dropout before a norm would spoil its statistics."""
    layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.BatchNorm1d(64), nn.Linear(64, 6))
    out = bn(Classifier(layers, input_shape=(1, 8, 8)), CLEAN, NOTHING, seeded())
    mean = CLEAN.images.flatten(1).mean(0)
    assert torch.allclose(out.get_buffer("network.2.running_mean"), mean, atol=1e-5)


def test_nothing_to_estimate() -> None:
    with pytest.raises(UndoorError, match=r"no batch norm.*another rival"):
        bn(backdoored(norm=False), CLEAN, NOTHING, seeded())
    free = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(64, track_running_stats=False), nn.Linear(64, 6)
    )
    with pytest.raises(UndoorError, match="no batch norm"):
        bn(Classifier(free, input_shape=(1, 8, 8)), CLEAN, NOTHING, seeded())
