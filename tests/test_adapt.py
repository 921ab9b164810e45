"""Refitting a repair on inputs that its guard flags."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.tiny import (
    TARGET,
    assert_unchanged,
    clean_images,
    snapshot,
    toy_classifier,
    true_trigger,
)
from undoor.adapt import MIN_FLAGGED, adapt, flagged_inputs
from undoor.align.guard_threshold import GuardThreshold
from undoor.align.plans import COARSEST, candidate_plans
from undoor.align.transform import Correction
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.evaluate import evaluate, stamp_set
from undoor.guard import guard
from undoor.journal import Journal
from undoor.rate import Rate
from undoor.render.repair_notes import adaptation_note
from undoor.repairs.adaptation import Adaptation
from undoor.repairs.record import Repair
from undoor.sites import find_sites

MODEL = toy_classifier(backdoored=True, norm=True)


def seen(triggered: int = 40, clean: int = 30, seed: int = 5) -> Tensor:
    """Inputs in operation: some carry the true trigger, most do not."""
    others = clean_images(20, seed)
    stamped = stamp_set(clean_images(20, seed + 1), true_trigger(), TARGET).images
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(stamped), generator=generator)[:triggered]
    x = torch.cat([stamped[rows], others.images[:clean]])
    return x[torch.randperm(len(x), generator=generator)]


def blunt(repair: Repair) -> Repair:
    """A repair that still flags, and answers what it flags with nonsense: the layer in front of the
    last is set to a constant."""
    (item,) = repair.targets
    name = "network.1"
    flat = torch.zeros_like(find_zeros(name))
    nothing = Correction(flat, flat, flat, flat)
    (site,) = [s for s in item.sites if s.name == name] or [item.sites[0]]
    made = replace(
        item,
        corrections={name: nothing},
        sites=(replace(site, name=name, granularity="channel"),),
        calibration=GuardThreshold(40.0, 0.05, Rate(0.0, 0.0, 0.3, 10)),
    )
    return replace(repair, targets=(made,))


def find_zeros(name: str) -> Tensor:
    (shape,) = [site.shape for site in find_sites(MODEL) if site.name == name]
    return torch.zeros(shape[0], *[1] * (len(shape) - 1))


def measured(repair: Repair) -> dict[str, float]:
    """The guarded pair on new images and the true trigger."""
    test = clean_images(30, seed=21)
    stamped = stamp_set(test, true_trigger(), TARGET)
    result = evaluate(MODEL, guard(MODEL, repair), test, stamped, TARGET)
    return {name: rate.value or 0.0 for name, rate in result.after.items()}


def test_gives_more_inputs_their_own_class_back(toy_repair: Repair) -> None:
    """Inputs have no labels, and are not pairs of the clean images."""
    before = blunt(toy_repair)
    was = measured(before)
    assert was["tpr"] > 0.9
    assert was["sia"] < 0.3
    made = adapt(MODEL, clean_images(), before, seen())
    now = measured(made)
    assert now["sia"] > 0.9
    assert now["asr"] < 0.05
    assert now["acc"] > 0.95
    assert now["fpr_target"] < 0.15
    (item,) = made.targets
    assert item.adapted == Adaptation(70, 40, MIN_FLAGGED, 0.0, 40, True)


def test_describes_itself(toy_repair: Repair) -> None:
    made = adapt(MODEL, clean_images(), blunt(toy_repair), seen())
    (item,) = made.targets
    sites = {site.name: site for site in find_sites(MODEL)}
    plans = candidate_plans(list(sites.values()))
    assert [trial.name for trial in item.trials] == list(plans)
    assert all(trial.sia is None for trial in item.trials)
    assert dict(plans[item.chosen]) == {site.name: site.granularity for site in item.sites}
    assert list(item.corrections) == list(plans[item.chosen])
    assert item.chosen == max(item.trials, key=lambda trial: trial.score).name
    assert item.sia is None
    assert 0 <= item.asr <= 0.2
    assert all(site.moved >= 0 for site in item.sites)
    # The rate that the repair was made for, on the clean images given now.
    assert (item.calibration.wanted, item.calibration.n) == (0.05, 10)
    assert item.trigger is toy_repair.targets[0].trigger
    assert item.sources == toy_repair.targets[0].sources
    assert set(made.seconds) == {"scan", "align", "adapt"}
    assert (made.fingerprint, made.fit) == (toy_repair.fingerprint, toy_repair.fit)


@pytest.mark.parametrize("triggered", [0, 1, MIN_FLAGGED - 1])
def test_too_few_flagged(toy_repair: Repair, triggered: int) -> None:
    """The corrections stay, and the result says so."""
    made = adapt(MODEL, clean_images(), toy_repair, seen(triggered, 30), progress=_no_fit)
    (item,), (old,) = made.targets, toy_repair.targets
    assert item.adapted == Adaptation(30 + triggered, triggered, MIN_FLAGGED)
    assert {**vars(item), "adapted": None} == vars(old)
    assert "stay as they were" in adaptation_note(item.adapted, "2")


def _no_fit(stage: str, done: int, total: int) -> None:
    assert stage == "looking for flagged inputs"


def test_keeps_its_corrections_where_a_refit_lets_inputs_pass(toy_repair: Repair) -> None:
    """Such as inputs of the target itself, which somebody got flagged."""
    every = GuardThreshold(-1e9, 0.05, Rate(1.0, 0.7, 1.0, 10))
    alarmed = replace(toy_repair, targets=(replace(toy_repair.targets[0], calibration=every),))
    own = clean_images(40, seed=8)
    x = own.images[own.labels == TARGET]
    made = adapt(MODEL, clean_images(), alarmed, x)
    (item,) = made.targets
    assert item.adapted is not None
    assert (item.adapted.flagged, item.adapted.refitted, item.adapted.fitted) == (40, False, 0)
    assert (item.adapted.missed or 0) > 0.2
    assert item.corrections is toy_repair.targets[0].corrections
    assert item.calibration == every


def test_some_false_flags_do_no_harm(toy_repair: Repair) -> None:
    """One in twenty flagged inputs carries no trigger: a clean image of the target."""
    blunted = blunt(toy_repair)
    alarmed = replace(
        blunted,
        targets=(
            replace(
                blunted.targets[0], calibration=GuardThreshold(-1e9, 0.05, Rate(1.0, 0.7, 1.0, 10))
            ),
        ),
    )
    own = clean_images(2, seed=8)
    x = torch.cat([seen(38, 0), own.images[own.labels == TARGET]])
    made = adapt(MODEL, clean_images(), alarmed, x)
    (item,) = made.targets
    assert item.adapted is not None
    assert (item.adapted.flagged, item.adapted.refitted) == (40, True)
    now = measured(made)
    assert now["sia"] > 0.9
    assert now["fpr_target"] < 0.15


def test_adapting_again(toy_repair: Repair) -> None:
    """With few inputs the second time, what was fitted the first time is kept and remembered."""
    first = adapt(MODEL, clean_images(), blunt(toy_repair), seen())
    again = adapt(MODEL, clean_images(), first, seen(3, 10, seed=30))
    (item,) = again.targets
    assert item.adapted == Adaptation(13, 3, MIN_FLAGGED, fitted=40)
    assert item.corrections is first.targets[0].corrections
    assert item.sia is None
    better = adapt(MODEL, clean_images(), first, seen(60, 0, seed=31))
    assert better.targets[0].adapted == Adaptation(60, 60, MIN_FLAGGED, 0.0, 60, True)
    assert measured(better)["sia"] > 0.9


def test_each_target_for_itself(toy_repair: Repair) -> None:
    """Two targets: what was flagged for one says nothing of the other."""
    (item,) = toy_repair.targets
    two = replace(toy_repair, targets=(item, replace(item, target=4, sources=(0, 1, 2, 3, 5))))
    found = flagged_inputs(MODEL, two, seen())
    assert {target: len(x) for target, x in found.items()} == {TARGET: 40, 4: 0}
    made = adapt(MODEL, clean_images(), two, seen())
    first, second = (target.adapted for target in made.targets)
    assert first is not None
    assert second is not None
    assert (first.flagged, first.refitted) == (40, True)
    assert (second.flagged, second.refitted) == (0, False)


def test_finds_what_the_guard_flags(toy_repair: Repair) -> None:
    """In the order in which it came, over several batches."""
    x = torch.cat([seen(90, 90, seed=2), seen(90, 90, seed=4)])
    labels, flagged, _ = guard(MODEL, toy_repair)(x)
    assert int(flagged.sum()) == 180
    assert torch.equal(flagged_inputs(MODEL, toy_repair, x)[TARGET], x[flagged])
    assert not bool((labels[flagged] == TARGET).any())


@pytest.mark.parametrize("fit", ["paired", "onepass", "paper", "reference"])
@pytest.mark.parametrize("norm", [False, True])
def test_every_fit(toy_repair: Repair, fit: str, norm: bool) -> None:
    model = toy_classifier(backdoored=True, norm=norm)
    (item,) = toy_repair.targets
    x = seen()
    if not norm:
        # The site names are another network's.
        name = find_sites(model)[1].name
        fitted = dict(zip([name], item.corrections.values(), strict=False))
        item = replace(item, corrections=fitted, calibration=replace(item.calibration, threshold=5))
        x = seen(60, 0)
    old = replace(toy_repair, fit=fit, targets=(item,), fingerprint=model.fingerprint())
    made = adapt(model, clean_images(), old, x)
    (new,) = made.targets
    assert made.fit == fit
    assert new.adapted is not None
    assert new.adapted.refitted
    assert fit != "reference" or new.chosen == COARSEST
    test = clean_images(20, seed=22)
    stamped = stamp_set(test, true_trigger(), TARGET)
    after = evaluate(model, guard(model, made), test, stamped, TARGET).after
    assert after["asr"].value < 0.1  # type: ignore[operator]
    assert after["sia"].value > 0.8  # type: ignore[operator]


def test_is_seeded_and_changes_nothing(toy_repair: Repair) -> None:
    clean, x = clean_images(), seen()
    before, images, inputs = snapshot(MODEL), clean.images.clone(), x.clone()
    old = toy_repair.to_json()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, again = (adapt(MODEL, clean, toy_repair, x, seed=7) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert_unchanged(MODEL, before)
    assert torch.equal(clean.images, images)
    assert torch.equal(x, inputs)
    assert toy_repair.to_json() == old
    assert replace(first, seconds={}).to_json() == replace(again, seconds={}).to_json()
    for name, h in first.targets[0].corrections.items():
        for part, value in h.state_dict().items():
            assert torch.equal(value, getattr(again.targets[0].corrections[name], part))


def test_round_trip(toy_repair: Repair, tmp_path: Path) -> None:
    made = adapt(MODEL, clean_images(), toy_repair, seen())
    made.save(tmp_path)
    back = Repair.load(tmp_path, MODEL)
    assert back.to_json() == replace(made, seconds={}).to_json()
    assert back.targets[0].adapted == made.targets[0].adapted
    x = seen(20, 20, seed=40)
    for a, b in zip(guard(MODEL, made)(x), guard(MODEL, back)(x), strict=True):
        assert torch.equal(a, b)


def test_more_than_fits_into_memory(toy_repair: Repair, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit are drawn, and that is said."""
    largest = max(math.prod(site.shape) for site in find_sites(MODEL))
    monkeypatch.setattr(import_module("undoor.target_repair"), "MAX_VALUES", 2 * largest * 50)
    made = adapt(MODEL, clean_images(), toy_repair, seen(80, 0))
    adapted = made.targets[0].adapted
    assert adapted is not None
    assert (adapted.flagged, adapted.fitted) == (80, 50)
    assert "refitted on 50 of them" in adaptation_note(adapted, "2")


def test_progress_and_interrupt(toy_repair: Repair) -> None:
    calls: list[tuple[str, int, int]] = []
    adapt(MODEL, clean_images(), toy_repair, seen(), progress=lambda *call: calls.append(call))
    stages = ("looking for flagged inputs", "choosing where to correct", "fitting corrections")
    assert tuple(dict.fromkeys(call[0] for call in calls)) == stages
    assert all(0 < done <= total for _, done, total in calls)
    for stage in stages:

        def stop(name: str, *_: int, wanted: str = stage) -> None:
            if name == wanted:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            adapt(MODEL, clean_images(), toy_repair, seen(), progress=stop)


# Refusals


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


@pytest.mark.parametrize("steps", [1, 3])
def test_a_killed_run_resumes_to_the_same_file(
    toy_repair: Repair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    clean, x = clean_images(), seen()

    def adapted(folder: str) -> Repair:
        journal = Journal(tmp_path / folder)
        return replace(
            adapt(MODEL, clean, toy_repair, x, journal=journal), seconds=toy_repair.seconds
        )

    whole = adapted("whole")
    assert Journal(tmp_path / "whole").steps > steps
    step, count = Journal.step, 0

    def counted(self: Journal, *args: Any) -> Any:
        nonlocal count
        if count == steps:
            raise Killed
        count += 1
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "step", counted)
        with pytest.raises(Killed):
            adapted("killed")
    assert Journal(tmp_path / "killed").steps == steps
    resumed = adapted("killed")
    assert resumed.sha256() == whole.sha256()
    # Without a journal it is the same, and other inputs are other steps.
    assert replace(adapt(MODEL, clean, toy_repair, x), seconds=toy_repair.seconds).sha256() == (
        whole.sha256()
    )
    before = Journal(tmp_path / "killed").steps
    adapt(MODEL, clean, toy_repair, seen(seed=8), journal=Journal(tmp_path / "killed"))
    assert Journal(tmp_path / "killed").steps == 2 * before


def test_repair_of_another_model(toy_repair: Repair) -> None:
    other = toy_classifier(backdoored=False, norm=True)
    with pytest.raises(UndoorError, match="the repair: this repair was made for another model"):
        adapt(other, clean_images(), toy_repair, seen())


def test_nothing_to_adapt(toy_repair: Repair) -> None:
    with pytest.raises(UndoorError, match=r"at least one target.*nothing to adapt"):
        adapt(MODEL, clean_images(), replace(toy_repair, targets=()), seen())


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (torch.zeros(0, 1, 8, 8), "expected inputs seen in operation, got none"),
        (torch.eye(8).expand(4, 3, 8, 8) * torch.ones(3).cumsum(0)[:, None, None] / 3, "colour"),
        (torch.zeros(4, 1, 9, 8), "shape"),
        (255 * torch.rand(4, 1, 8, 8), "divide"),
        (torch.full((4, 1, 8, 8), torch.nan), "NaN"),
    ],
)
def test_unusable_inputs(toy_repair: Repair, inputs: Tensor, told: str) -> None:
    with pytest.raises(UndoorError, match=told):
        adapt(MODEL, clean_images(), toy_repair, inputs)


@pytest.mark.parametrize("rows", [slice(0, 0), slice(0, 10)])
def test_unusable_clean_set(toy_repair: Repair, rows: slice) -> None:
    clean = clean_images()
    cut = CleanSet(clean.images[rows], clean.labels[rows])
    with pytest.raises(UndoorError, match=r"empty|at least 2 classes"):
        adapt(MODEL, cut, toy_repair, seen())


def test_too_few_clean_images_of_the_sources(toy_repair: Repair) -> None:
    (item,) = toy_repair.targets
    narrow = replace(toy_repair, targets=(replace(item, sources=(4,)),))
    with pytest.raises(UndoorError, match=r"at least 4 clean images.*classes 4"):
        adapt(MODEL, clean_images(2), narrow, seen())
