"""The mix of classes of flagged inputs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from helpers.tiny import CLASSES, TARGET, clean_images, toy_classifier, true_trigger
from undoor.align.class_balance import match_mix, resample, supposed_shares
from undoor.align.cross_validation import CrossValidation
from undoor.align.flagged import FlaggedValidation
from undoor.align.plans import candidate_plans
from undoor.evaluate import stamp_set
from undoor.sites import find_sites

MODEL = toy_classifier(backdoored=True, norm=True)
PLAN = candidate_plans(find_sites(MODEL))["per channel"]


def validation(classes: Sequence[int], count: int = 60) -> FlaggedValidation:
    """Flagged inputs of these classes alone, clean ones of all."""
    clean, attacked = clean_images(20), clean_images(200, seed=4)
    stamped = stamp_set(attacked, true_trigger(), TARGET)
    rows = torch.isin(stamped.labels, torch.tensor(classes)).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))[:count]]
    made = CrossValidation(MODEL, TARGET, clean.images, clean.labels, clean.labels != TARGET, ())
    return FlaggedValidation.of(made, stamped.images[rows])


def shares(labels: torch.Tensor) -> torch.Tensor:
    return torch.bincount(labels, minlength=CLASSES) / len(labels)


@pytest.mark.parametrize("classes", [(0, 1), (3, 4, 5), (5,)])
def test_few_classes(classes: tuple[int, ...]) -> None:
    on = validation(classes)
    matched = match_mix(on, PLAN, torch.Generator().manual_seed(0))
    assert float(shares(matched.labels)[list(classes)].sum()) > 0.9
    assert len(matched.clean) == pytest.approx(len(on.clean), abs=CLASSES)
    # Images and labels belong together still.
    assert torch.equal(MODEL.predict(matched.clean), matched.labels)
    assert torch.equal(matched.flagged, on.flagged)
    assert len(on.labels) == 100


@pytest.mark.parametrize("count", [20, 60, 400])
def test_the_mix_of_the_clean_inputs_stays(count: int) -> None:
    matched = match_mix(validation((0, 1, 3, 4, 5), count), PLAN, torch.Generator().manual_seed(0))
    own = torch.tensor([0.2, 0.2, 0.0, 0.2, 0.2, 0.2])
    # Three standard errors of the share of a class among so many inputs.
    assert float((shares(matched.labels) - own).abs().max()) < 0.03 + 1.2 / count**0.5


def test_is_seeded() -> None:
    on = validation((0, 1))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    made = [match_mix(on, PLAN, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(made[0].clean, made[1].clean)
    assert not torch.equal(made[0].clean, made[2].clean)


def test_shares() -> None:
    """In proportion where there are many, nearer to the clean mix where there are few."""
    labels = torch.tensor([0, 1, 1, 1])
    many = supposed_shares(torch.zeros(1000, dtype=torch.long), labels)
    few = supposed_shares(torch.zeros(2, dtype=torch.long), labels)
    assert many[0] > 0.999
    assert few == pytest.approx({0: 2.25 / 3, 1: 0.75 / 3})
    nothing = supposed_shares(torch.tensor([4, 5]), labels)
    assert nothing == pytest.approx({0: 0.25, 1: 0.75})


def test_resamples_without_repetition_first() -> None:
    labels = torch.arange(4).repeat_interleave(10)
    rows = resample(labels, {0: 0.75, 1: 0.25, 2: 0.0, 3: 0.0}, torch.Generator().manual_seed(0))
    assert labels[rows].bincount().tolist() == [30, 10]
    counts = rows.bincount(minlength=40)
    assert counts[:10].tolist() == [3] * 10
    assert counts[10:20].tolist() == [1] * 10
