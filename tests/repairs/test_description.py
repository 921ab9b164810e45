"""Descriptions of repairs that were changed and sealed again: refused in one line, or harmless."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier, random_inputs
from undoor.align.guard_threshold import GuardThreshold
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.render.repair_notes import adaptation_note, calibration_note
from undoor.repairs import listed
from undoor.repairs.adaptation import Adaptation
from undoor.repairs.contents import TargetRepair
from undoor.repairs.record import Repair
from undoor.sealed import sealed, unsealed
from undoor.triggers import Latent, Tone, Trigger, Warp

GONE = object()
WRONG: dict[str, Any] = {
    "gone": GONE,
    "null": None,
    "list": [],
    "list of null": [None],
    "object": {},
    "object with strange": {"name": 1},
    "text": "x",
    "empty text": "",
    "digits": "3",
    "lone surrogate": "\ud800",
    "long text": "x" * 20_000,
    "true": True,
    "zero": 0,
    "minus": -1,
    "minus two": -2.5,
    "fraction": 0.5,
    "huge integer": 10**400,
    "large integer": 2**63,
    "largest": 1.7e308,
}
Path_ = tuple[str | int, ...]


def scored(item: TargetRepair) -> TargetRepair:
    """With all that a description can hold."""
    clean, triggered = torch.linspace(-1, 1, 40), torch.linspace(2, 9, 40)
    adapted = Adaptation(900, 57, 20, 0.0, 57, True)
    sites = item.sites[:2]
    return replace(
        item,
        calibration=GuardThreshold.of(clean, triggered, 0.05),
        adapted=adapted,
        sites=sites,
        corrections={site.name: item.corrections[site.name] for site in sites},
        trials=item.trials[:1],
    )


@pytest.fixture(scope="module")
def model() -> Classifier:
    return random_classifier("conv_norm")


@pytest.fixture(scope="module")
def whole(model: Classifier) -> Repair:
    made = make_repair(model, (1,))
    return replace(made, targets=(scored(made.targets[0]),))


def places(node: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Every entry of a document, leaves and what holds them; of a list, the first and the last."""
    if at:
        yield at
    if isinstance(node, list):
        node = {index: node[index] for index in sorted({0, len(node) - 1}) if node}
    for key, child in node.items() if isinstance(node, dict) else ():
        yield from places(child, (*at, key))


def changed(document: Any, at: Path_, value: Any) -> Any:
    document = copy.deepcopy(document)
    node = document
    for key in at[:-1]:
        node = node[key]
    if value is GONE:
        del node[at[-1]]
    else:
        node[at[-1]] = value
    return document


def use(file: Path, model: Classifier) -> None:
    """What is done with a repair that was read."""
    repair = Repair.load(file)
    json.dumps(repair.to_json(), allow_nan=False)
    assert repair.sha256()
    (item,) = listed([file])
    json.dumps(item.to_json(), allow_nan=False)
    for target in repair.targets:
        assert calibration_note(target.calibration, "one") != ""
        if target.adapted:
            assert adaptation_note(target.adapted, "one")
    x = random_inputs(model, 3)
    logits, _, score = guard(model, repair).logits(x)
    assert bool(logits.isfinite().all() and score.isfinite().all())


@pytest.mark.parametrize("wrong", WRONG)
def test_mutations(wrong: str, tmp_path: Path, model: Classifier, whole: Repair) -> None:
    file = whole.save(tmp_path / "a.safetensors")
    use(file, model)
    stored = unsealed(file, made_by="a test")
    refused = 0
    for at in places(stored.description):
        try:
            file.write_bytes(sealed(changed(stored.description, at, WRONG[wrong]), stored.tensors))
        except UnicodeEncodeError:  # No file can hold it.
            continue
        try:
            use(file, model)
        except UndoorError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1, at  # noqa: PT017
            assert len(str(error)) < 2000, at  # noqa: PT017
        except Exception as error:
            pytest.fail(f"{at} = {WRONG[wrong]!r:.60}: {error!r}")
    if wrong != "lone surrogate":
        assert refused > 30


SHAPES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "empty": lambda value: value.flatten()[:0],
    "number": lambda value: value.flatten()[0],
    "flat": lambda value: value.flatten(),
    "twice": lambda value: torch.cat([value, value]),
    "fewer": lambda value: value[1:],
    "one more axis": lambda value: value[None],
    "no axis": lambda value: value[0],
    "turned": lambda value: value.movedim(0, -1).contiguous(),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "trigger",
    [
        None,
        Warp("warp", (0, 1), torch.randn(2, 8, 8)),
        Tone("tone", (0, 1), torch.randn(3, 3), torch.randn(3), torch.randn(3)),
        Latent("latent late", torch.randn(5), "network.1"),
    ],
    ids=["stamp", "warp", "tone", "latent"],
)
def test_tensors_of_other_shapes(
    shape: str, trigger: Trigger | None, tmp_path: Path, model: Classifier, whole: Repair
) -> None:
    if trigger:
        whole = replace(whole, targets=(replace(whole.targets[0], trigger=trigger),))
    file = whole.save(tmp_path / "a.safetensors")
    stored = unsealed(file, made_by="a test")
    refused = 0
    for name, value in stored.tensors.items():
        if trigger and "/correction/" in name:
            continue
        changed_one = {**stored.tensors, name: SHAPES[shape](value).clone()}
        file.write_bytes(sealed(stored.description, changed_one))
        try:
            use(file, model)
            if not isinstance(trigger, Latent):
                Repair.load(file).targets[0].trigger(random_inputs(model, 2))
        except UndoorError:
            refused += 1
        except Exception as error:
            pytest.fail(f"{name} {shape}: {error!r}")
    assert refused or trigger or shape == "flat"


def test_says_what_and_where(tmp_path: Path, whole: Repair) -> None:
    file = whole.save(tmp_path / "a.safetensors")
    stored = unsealed(file, made_by="a test")
    for at, value, message in (
        (
            ("targets", 0, "calibration", "n"),
            "4",
            r"targets\.0\.calibration\.n: .*integer, got '4'",
        ),
        (("targets", 0, "fpr"), GONE, r"targets\.0\.fpr: Field required\); repair again"),
        (("targets", 0, "asr"), 3, r"targets\.0\.asr: .*less than or equal to 1, got 3"),
        (("targets", 0, "chosen"), 10**400, r"chosen: .*got a number of more than 64 bits"),
    ):
        file.write_bytes(sealed(changed(stored.description, at, value), stored.tensors))
        with pytest.raises(UndoorError, match=rf"not a readable repair \(its entry .*{message}"):
            Repair.load(file)
