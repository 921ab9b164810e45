"""Fine-tuning under the estimated trigger."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench_helpers.rival_work import (
    CLEAN,
    NOTHING,
    acc,
    asr,
    backdoored,
    report,
    seeded,
    sia,
    weights,
)
from helpers.tiny import TARGET, assert_unchanged, snapshot, true_trigger
from undoor.errors import UndoorError
from undoor.triggers import Latent, Stamp
from undoor_bench.rivals.common import Descent
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.rivals.unlearning import Unlearning, some_rows, unlearning

FEW = Descent(steps=20)


@pytest.mark.parametrize("norm", [True, False])
def test_the_true_trigger_is_unlearned(norm: bool) -> None:
    before = backdoored(norm)
    out = unlearning(before, CLEAN, report(true_trigger()), seeded())
    assert asr(out) < 0.1
    assert sia(out) > 0.9
    assert acc(out) > acc(before) - 0.03


def test_without_findings_it_is_plain_fine_tuning() -> None:
    plain = fine_tuning(backdoored(), CLEAN, NOTHING, seeded(), settings=FEW)
    out = unlearning(backdoored(), CLEAN, NOTHING, seeded(), settings=Unlearning(descent=FEW))
    assert torch.equal(weights(out), weights(plain))


def test_a_useless_trigger_leaves_the_backdoor() -> None:
    """It is the trigger that does it, not more of the same training."""
    nothing = Stamp("patch", torch.zeros(1, 8, 8), torch.zeros(1, 8, 8), "replace", (0.0, 1.0))
    out = unlearning(backdoored(), CLEAN, report(nothing), seeded())
    assert asr(out) > 0.5


def test_a_trigger_inside_acts_inside() -> None:
    """A shift behind the first batch norm: the student learns to ignore it."""
    site, shift = "network.1", torch.zeros(12)
    shift[:6] = 4.0
    trigger = Latent("latent early", shift, site)
    before = backdoored()
    snap = snapshot(before)
    out = unlearning(before, CLEAN, report(trigger), seeded())
    assert_unchanged(before, snap)
    assert list(out.state_dict()) == list(before.state_dict())

    def shifted(model: torch.nn.Module) -> float:
        handle = model.get_submodule(site).register_forward_hook(lambda _m, _i, z: trigger(z))
        right = model(CLEAN.images).argmax(1) == CLEAN.labels
        handle.remove()
        return float(right.float().mean())

    assert shifted(before) < 0.8
    assert shifted(out) > 0.95


def test_all_findings_are_used() -> None:
    other = Stamp(
        "patch", true_trigger().mask.flip(1, 2), 1 - true_trigger().pattern.flip(1, 2),
        "replace", (0.0, 1.0),
    )  # fmt: skip
    used: list[str] = []

    class Told(Stamp):
        def __call__(self, x: Tensor) -> Tensor:
            used.append(self.family)
            return super().__call__(x)

    def told(name: str, stamp: Stamp) -> Told:
        return Told(name, stamp.mask, stamp.pattern, stamp.mode, stamp.bounds)

    two = report(true_trigger())
    (first,) = two.findings
    findings = (
        replace(first, trigger=told("a", true_trigger())),
        replace(first, target=4, trigger=told("b", other)),
    )
    settings = Unlearning(descent=FEW)
    unlearning(backdoored(), CLEAN, replace(two, findings=findings), seeded(), settings=settings)
    assert set(used) == {"a", "b"}
    assert len(used) == FEW.steps


def test_only_allowed_rows_and_at_most_their_share() -> None:
    labels = torch.arange(6).repeat(10)
    mask = some_rows(labels != TARGET, 0.2, seeded())
    assert int(mask.sum()) == 12
    assert not mask[labels == TARGET].any()
    assert int(some_rows(labels == TARGET, 0.5, seeded()).sum()) == 10


def test_a_report_of_another_model() -> None:
    found = report(true_trigger())
    wrong = replace(found, findings=(replace(found.findings[0], target=9),))
    with pytest.raises(UndoorError, match="beyond the model's 6 classes"):
        unlearning(backdoored(), CLEAN, wrong, seeded())
