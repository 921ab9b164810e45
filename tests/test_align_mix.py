"""The mix of classes of flagged inputs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from tiny import CLASSES, TARGET, clean_images, toy_classifier, true_trigger

from undoor.align.flagged import FlaggedBench
from undoor.align.mix import is_another_mix, match_mix, resample
from undoor.align.plans import candidate_plans
from undoor.align.select import Bench
from undoor.evaluate import stamp_set
from undoor.sites import find_sites

MODEL = toy_classifier(backdoored=True, norm=True)
PLAN = candidate_plans(find_sites(MODEL))["per channel"]


def bench(classes: Sequence[int], count: int = 60) -> FlaggedBench:
    """Flagged inputs of these classes alone, clean ones of all."""
    clean, attacked = clean_images(20), clean_images(200, seed=4)
    stamped = stamp_set(attacked, true_trigger(), TARGET)
    rows = torch.isin(stamped.labels, torch.tensor(classes)).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))[:count]]
    made = Bench(MODEL, TARGET, clean.images, clean.labels, clean.labels != TARGET, ())
    return FlaggedBench.of(made, stamped.images[rows])


def shares(labels: torch.Tensor) -> torch.Tensor:
    return torch.bincount(labels, minlength=CLASSES) / len(labels)


@pytest.mark.parametrize("classes", [(0, 1), (3, 4, 5), (5,)])
def test_few_classes(classes: tuple[int, ...]) -> None:
    on = bench(classes)
    matched = match_mix(on, PLAN, torch.Generator().manual_seed(0))
    assert float(shares(matched.labels)[list(classes)].sum()) > 0.9
    assert len(matched.clean) == pytest.approx(len(on.clean), abs=CLASSES)
    # Images and labels belong together still.
    assert torch.equal(MODEL.predict(matched.clean), matched.labels)
    assert torch.equal(matched.flagged, on.flagged)
    assert len(on.labels) == 100


@pytest.mark.parametrize("count", [20, 60, 400])
def test_the_mix_of_the_clean_inputs_is_left_alone(count: int) -> None:
    on = bench((0, 1, 3, 4, 5), count)
    assert match_mix(on, PLAN, torch.Generator().manual_seed(0)) is on


def test_is_seeded() -> None:
    on = bench((0, 1))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    made = [match_mix(on, PLAN, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(made[0].clean, made[1].clean)
    assert not torch.equal(made[0].clean, made[2].clean)


def test_what_is_another_mix() -> None:
    labels = torch.arange(5).repeat(30)
    chance = torch.randint(5, (200, 20), generator=torch.Generator().manual_seed(0))
    assert sum(is_another_mix(row, labels, 5) for row in chance) <= 2
    few = torch.randint(2, (200, 20), generator=torch.Generator().manual_seed(0))
    assert all(is_another_mix(row, labels, 5) for row in few)
    # However sure, a small difference may be a class taken for another one.
    sure = torch.cat([labels.repeat(20), torch.zeros(500, dtype=torch.long)])
    assert not is_another_mix(sure, labels, 5)


def test_answers_that_no_clean_input_has() -> None:
    """The backdoor has some sources only; the network errs to other classes too."""
    labels = torch.tensor([0, 1]).repeat(20)
    answers = torch.tensor([0, 1, 4, 4]).repeat(10)
    assert not is_another_mix(answers, labels, 6)
    rows = resample(labels, answers, torch.Generator().manual_seed(0))
    assert torch.equal(labels[rows].bincount(), torch.tensor([20, 20]))
    assert not is_another_mix(torch.tensor([4, 5] * 10), labels, 6)
    assert len(resample(labels, torch.tensor([4, 5]), torch.Generator())) == 0


def test_resamples_without_repetition_first() -> None:
    labels = torch.arange(4).repeat_interleave(10)
    rows = resample(labels, torch.tensor([0, 0, 0, 1]), torch.Generator().manual_seed(0))
    assert labels[rows].bincount().tolist() == [30, 10]
    counts = rows.bincount(minlength=40)
    assert counts[:10].tolist() == [3] * 10
    assert counts[10:20].tolist() == [1] * 10
