"""The whole way of the data on a device that is pretended, since none may be at hand.

Scans and repairs are cut to a few steps: all that is computed is computed, and must be what the
CPU computes, number by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.models_of_spaces import model_for
from helpers.pretended import DEVICE, Pretended, pretending
from helpers.tiny import BOUNDS, SIDE, TARGET, clean_images, toy_classifier, true_trigger
from undoor.adapt import adapt
from undoor.classifier import Classifier
from undoor.device import CPU, FLOAT32
from undoor.errors import UndoorError
from undoor.evaluate import evaluate, stamp_set
from undoor.export import export
from undoor.families.registry import REGISTRY
from undoor.guard import guard, guarded_predictions
from undoor.inversion import journalled_search
from undoor.inversion.invert import invert
from undoor.journal import Journal
from undoor.repair import repair
from undoor.repairs.record import Repair
from undoor.scan.report import ScanReport
from undoor.scan.run import scan

STEPS, TRIAL = 4, 2


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches of a few steps, in float32, which all devices have."""

    def few(*args: Any, schedule: Any, **options: Any) -> Any:
        trial = min(schedule.trial, TRIAL)
        return invert(*args, schedule=replace(schedule, steps=STEPS, trial=trial), **options)

    monkeypatch.setattr(journalled_search, "invert", few)
    monkeypatch.setenv(FLOAT32, "1")


@pytest.fixture
def toys(toy_report: ScanReport, toy_repair: Repair, short: None) -> tuple[ScanReport, Repair]:
    """A report and a repair from whole searches on the CPU, made before searches are cut."""
    return toy_report, toy_repair


@pytest.fixture
def device() -> Iterator[torch.device]:
    with pretending():
        yield DEVICE


def toy() -> Classifier:
    return toy_classifier(backdoored=True, norm=True)


def there(device: torch.device) -> Classifier:
    """The toy model on the device."""
    return toy().to(device)


def told(report: ScanReport) -> dict[str, Any]:
    # The device has no autocast, which networks are asked about: a few passes less.
    return report.to_json() | {"seconds": 0, "passes": 0, "device": None, "date": None}


def made(repair: Repair) -> list[dict[str, dict[str, list[Any]]]]:
    """All numbers of the corrections, which must be on the CPU."""
    tensors = [
        {site: item.parts for site, item in target.corrections.items()} for target in repair.targets
    ]
    assert all(type(t) is Tensor for item in tensors for p in item.values() for t in p.values())
    return [
        {site: {k: t.tolist() for k, t in parts.items()} for site, parts in item.items()}
        for item in tensors
    ]


def test_tensors_of_two_devices_do_not_mix(device: torch.device) -> None:
    """What all other tests here rest on."""
    x, y = torch.ones(2, device=device), torch.ones(2)
    assert x.device == device
    assert (x + 1).tolist() == (x * torch.tensor(2.0)).tolist() == [2, 2]
    assert x[torch.tensor([0])].device == device
    assert torch.equal((x + 1).to("cpu"), y + 1)
    for mixed in (lambda: x + y, lambda: torch.cat([y, x]), lambda: torch.stack([x, y])):
        with pytest.raises(RuntimeError, match="expected all tensors on one device"):
            mixed()


@pytest.mark.usefixtures("short")
def test_a_scan(device: torch.device, tmp_path: Path) -> None:
    clean = clean_images()
    expected = scan(toy(), clean)
    found = scan(there(device), clean, journal=Journal(tmp_path))
    assert found.device == device.type
    assert expected.device == CPU.type
    assert told(found) == told(expected)
    again = scan(there(device), clean, journal=Journal(tmp_path))
    assert told(again) == told(found)
    steps = Journal(tmp_path).steps
    scan(toy(), clean, journal=Journal(tmp_path))
    assert Journal(tmp_path).steps == 2 * steps  # Those of another device are others.


def test_repair_guard_evaluation_and_adaptation(
    toys: tuple[ScanReport, Repair], device: torch.device
) -> None:
    report, _ = toys
    model, clean, test = there(device), clean_images(), clean_images(10, seed=5)
    expected = repair(toy(), clean, report)
    found = repair(model, clean, report)
    assert made(found) == made(expected)
    assert found.to_json()["targets"] == expected.to_json()["targets"]
    both = [guard(toy(), expected), guard(model, expected)]
    assert next(both[1].buffers()).device == device
    triggered = stamp_set(test, true_trigger(), TARGET)
    answers = [guarded_predictions(each, triggered.images) for each in both]
    for one, two in zip(*answers, strict=True):
        assert type(two) is Tensor
        assert torch.equal(one, two)
    results = [
        evaluate(each, pair, test, triggered, TARGET).to_json()
        for each, pair in zip((toy(), model), both, strict=True)
    ]
    assert results[0] == results[1]
    adapted = [adapt(each, clean, expected, triggered.images) for each in (toy(), model)]
    assert made(adapted[0]) == made(adapted[1])


def test_a_guard_names_both_devices(toy_repair: Repair, device: torch.device) -> None:
    pair = guard(there(device), toy_repair)
    with pytest.raises(UndoorError, match=rf"network is on {device}, but the inputs are on cpu"):
        pair(clean_images().images)


def test_an_export_is_for_any_machine(
    toy_repair: Repair, device: torch.device, tmp_path: Path
) -> None:
    model = there(device)
    made = export(model, toy_repair, tmp_path / "guarded.pt2")
    assert made.parity.inputs > 0
    assert model.device == device
    read = torch.export.load(made.file)
    assert {tensor.device for tensor in read.state_dict.values()} == {CPU}


@pytest.mark.parametrize(
    "family", [f for f in REGISTRY if f.moves == "target"], ids=lambda f: f.name
)
def test_triggers_follow_what_they_are_put_on(device: torch.device, family: Any) -> None:
    toy = toy_classifier(backdoored=True, norm=True)
    model, x = model_for(family, toy, clean_images(1).images)
    bank = family.bank(1, model, x, torch.Generator().manual_seed(0))
    trigger = bank.export(0)
    z = x if family.at_input else torch.ones(6, len(trigger.shift), SIDE, SIDE)
    got = trigger(z.to(device))
    assert got.device == device
    assert torch.equal(got.to("cpu"), trigger(z))


def test_the_device_follows_the_network(device: torch.device) -> None:
    network = toy().network.to(device)
    model = Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)
    assert model.device == device
    assert {p.device for p in model.network.parameters()} == {device}
    assert model.fingerprint() == toy().fingerprint()
    back = model.on(CPU)
    assert back.device == CPU
    assert model.device == device
    assert model.on(device) is model


def test_predictions_lie_where_the_inputs_do(device: torch.device) -> None:
    x, model = clean_images().images, there(device)
    for found, expected in (
        (model.predict(x, 7), toy().predict(x, 7)),
        (model.logits(x, 7), toy().logits(x, 7)),
    ):
        assert type(found) is Tensor
        assert torch.equal(found, expected)
    assert isinstance(model.predict(x.to(device)), Pretended)


def test_inputs_elsewhere_are_refused_in_one_line(device: torch.device) -> None:
    x = clean_images().images
    with pytest.raises(UndoorError) as refused:
        there(device)(x)
    assert f"network is on {device}, but the inputs are on cpu" in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(UndoorError, match=f"network is on cpu, but the inputs are on {device}"):
        toy()(x.to(device))


class Bound(nn.Module):
    """A network that names a device in its code."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + torch.ones(3, device="cpu")


def test_a_network_that_cannot_move_stays(device: torch.device) -> None:
    model = Classifier(Bound(), input_shape=(1, SIDE, SIDE), bounds=BOUNDS)
    with pytest.raises(UndoorError, match="cannot be moved from cpu") as refused:
        model.to(device)
    assert "\n" not in str(refused.value)
    assert model.device == CPU
    assert model.predict(clean_images(1).images).shape == (6,)
