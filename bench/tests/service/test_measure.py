"""What is measured with, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from helpers.guarded_networks import inputs as images
from helpers.guarded_networks import subject
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier, random_inputs
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.triggers import Stamp
from undoor_bench.service.measure import inputs, requests, rows


def test_requests() -> None:
    first, second = requests(torch.tensor([[0.5, 1.0], [0.0, 2.0]]))
    head, _, body = first.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/models/model/infer HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    (tensor,) = json.loads(body)["inputs"]
    assert (tensor["shape"], tensor["data"]) == ([1, 2], [0.5, 1.0])
    assert first != second


def test_a_repair_that_flags_nothing_cannot_be_measured() -> None:
    model = random_classifier("mlp")  # predicts class 0, whatever the input
    with pytest.raises(UndoorError, match="all flagged"):
        inputs(model, make_repair(model, targets=(1,)), random_inputs(model, 20))


def test_inputs_are_clean_images_and_triggered_ones() -> None:
    """Noise may be flagged throughout, which would leave nothing to send without a flag."""
    model, repair = subject("PlainCNN")
    corner = torch.zeros(1, 32, 32)
    corner[:, :2, :2] = 1
    trigger = Stamp("patch", corner, torch.zeros(3, 32, 32), "replace", model.bounds)
    (item,) = repair.targets
    repair = replace(repair, targets=(replace(item, trigger=trigger),))
    clean = images(40)
    found = inputs(model, repair, clean)
    sources = {"nothing flagged": clean, "all flagged": trigger(clean)}
    assert list(found) == list(sources)
    for name, x in found.items():
        assert all((row == sources[name]).flatten(1).all(1).any() for row in x)
        _, flagged, _ = guard(model, repair)(x)
        assert (flagged == (name == "all flagged")).all()


def test_rows() -> None:
    record = {
        "ratios": {"nothing flagged": {"ratio": 0.912}},
        "load": {"p99_by_p50": None},
        "overload": {"statuses": {"200": 5}, "memory_highest": 300, "memory_before": 200},
    }
    assert dict(rows(record)) == {
        "requests per second, nothing flagged: guarded / bare": "0.91",
        "p99 / p50 at 80 % load": "none answered",
        "answers in the overload by status": '{"200": 5}',
        "highest memory in the overload / before": "1.50",
    }
