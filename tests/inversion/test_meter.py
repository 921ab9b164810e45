"""Budgets: every pass is counted in one place, none is exceeded, and what was done is kept."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import pytest
import torch

from helpers.tiny import clean_images, toy_classifier
from undoor.errors import BudgetEnded, UndoorError
from undoor.families.registry import families
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Search
from undoor.inversion.image_split import split
from undoor.inversion.journalled_search import search
from undoor.inversion.meter import Budget, Meter
from undoor.inversion.patch_starts import STEPS, square_passes
from undoor.inversion.recent_speed import RecentSpeed
from undoor.inversion.work import Run, Work
from undoor.journal import Journal
from undoor.progress import PASSES, SECONDS, silent
from undoor.scan.forecast import passes_of
from undoor.scan.screen import screen, screen_shared, screen_sources
from undoor.scan.screening import searched
from undoor.tasks.single_label import SINGLE_LABEL

SCHEDULE = Schedule(steps=30, batch=4, success=0.5, trial=10, keep=2)
SCREENS = {"target": screen, "source": screen_sources, "shared": screen_shared}


def test_a_pass_forward_alone_counts_half() -> None:
    meter = Meter()
    counted = toy_classifier(backdoored=True).counted(meter)
    x = clean_images().images[:6]
    counted(x)
    assert meter.passes == 6
    counted.logits(x)
    assert meter.passes == 9
    copy.deepcopy(counted).with_gain(2.0).predict(x)
    assert meter.passes == 12


def test_a_batch_that_would_exceed_the_passes_is_not_computed() -> None:
    meter = Meter(Budget(passes=10))
    counted = toy_classifier(backdoored=True).counted(meter)
    x = clean_images().images
    counted(x[:6])
    with pytest.raises(BudgetEnded, match="ended after 6 sample passes"):
        counted(x[:5])
    # Once ended, it stays so, also for what would still fit.
    with pytest.raises(BudgetEnded):
        counted(x[:1])
    assert meter.passes == 6


def test_no_batch_begins_after_the_seconds() -> None:
    """One that begins in time is computed; what begins later is refused at once."""
    meter = Meter(Budget(seconds=60))
    counted = toy_classifier(backdoored=True).counted(meter)
    x = clean_images().images[:1]
    counted(x)
    assert not meter.ended
    meter.started -= 60
    with pytest.raises(BudgetEnded):
        counted(x)
    assert meter.ended
    assert meter.passes == 1


def test_progress_ends_work_that_runs_no_network() -> None:
    meter = Meter(Budget(seconds=1e-9))
    with pytest.raises(BudgetEnded):
        meter.watching(silent)("fitting corrections", 1, 2)


def test_the_time_left_is_measured() -> None:
    told: dict[str, tuple[int, int]] = {}
    meter = Meter(passes=100, expected=400, started=time.perf_counter() - 10)
    meter.watching(lambda stage, done, total: told.update({stage: (done, total)}))("x", 1, 2)
    assert told[PASSES] == (100, 400)
    done, total = told[SECONDS]
    assert (done, total) == (10, 40)


def test_what_is_left_of_a_budget() -> None:
    assert Budget(passes=10, seconds=5).less(4, 2) == Budget(passes=6, seconds=3)
    assert Budget(passes=10).less(40, 2) == Budget(passes=0)
    assert Budget().less(40, 2) == Budget()
    with pytest.raises(UndoorError, match="max_seconds"):
        Budget.of(Budget(passes=1), 5)


@pytest.mark.parametrize("family", ["patch", "warp"])
@pytest.mark.parametrize("passes", [30, 230, 390])
def test_a_search_goes_on_inside_of_a_step(tmp_path: Path, family: str, passes: int) -> None:
    """Cut before and after candidates are narrowed, between chunks of one step; to the last bit
    the same, and the passes add up to those of one run."""
    clean = clean_images(12)
    others = (clean.labels != 2).nonzero()[:, 0]
    searches = [Search(2, others)] * 3 + [Search(1, others)] * 2

    def run(budget: Budget, journal: Journal | None) -> tuple[float, list[object]]:
        meter = Meter(budget)
        classifier = toy_classifier(backdoored=True).limited(None).counted(meter)
        found = search(
            classifier,
            clean.images,
            searches,
            family=family,
            schedule=SCHEDULE,
            generator=torch.Generator().manual_seed(1),
            journal=journal,
            meter=meter,
        )
        sizes: list[object] = [(c.target, c.size, c.asr) for c in found]
        return meter.passes, sizes

    expected = run(Budget(), None)
    assert expected[0] > 390
    journal = Journal(tmp_path)
    with pytest.raises(BudgetEnded):
        run(Budget(passes=passes), journal)
    assert not journal.empty
    assert journal.steps == 0
    assert run(Budget(), journal) == expected


def test_a_forecast_is_an_upper_bound_and_not_far_off() -> None:
    """Of the searches without patience, what is counted is what was foreseen."""
    clean = clean_images()
    meter = Meter()
    classifier = toy_classifier(backdoored=False).counted(meter)
    generator = torch.Generator().manual_seed(0)
    known = torch.ones(len(clean), dtype=torch.bool)
    images = split(clean, known, SINGLE_LABEL, generator)
    work = Work(classifier, images, None, Run(generator, meter))
    for family in ("additive", "patch by source"):
        before = meter.passes
        moves = next(f.moves for f in families() if f.name == family)
        SCREENS[moves](work, family)
        took = meter.passes - before
        foreseen = passes_of(classifier, [family], len(clean))
        assert 0.1 * foreseen <= took <= foreseen
    assert passes_of(classifier, searched(classifier), len(clean)) > 0


def test_squares_are_foreseen_exactly() -> None:
    family = next(f for f in families() if f.places)
    assert family.places is not None
    classifier = toy_classifier(backdoored=True)
    masks = len(family.places.masks((1, 8, 8), 1.0))
    assert square_passes(classifier, family.places, 1.0, 3) == 3 * STEPS * masks


# The time left


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_speed_of_the_last_minute(clock: Clock) -> None:
    """Another load than at the beginning: what counts is how it goes now."""
    meter = Meter(expected=10_000)
    update = meter.watching(lambda *_: None)
    for passes, seconds in ((1000, 10), (2000, 20), (2100, 120)):
        meter.passes, clock.now = float(passes), 1000.0 + seconds
        update("x", 1, 2)
    # One pass per second, where it was 17 per second on the whole.
    assert meter.seconds_left == pytest.approx(7900)


def test_the_speed_leaves_out_what_an_earlier_run_did(clock: Clock) -> None:
    meter = Meter(expected=10_000)
    meter.resume(5000, 3600)
    clock.now += 10
    meter.passes += 100
    meter.watching(lambda *_: None)("x", 1, 2)
    assert meter.seconds_left == pytest.approx(490)


def test_no_speed_before_a_second(clock: Clock) -> None:
    """A step that was read from the journal takes no time."""
    speed = RecentSpeed()
    assert speed.seconds_per_pass is None
    clock.now += 0.5
    speed.note(100)
    assert speed.seconds_per_pass is None
    clock.now += 0.5
    speed.note(200)
    assert speed.seconds_per_pass == pytest.approx(1 / 200)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made
