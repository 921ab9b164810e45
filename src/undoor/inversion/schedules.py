"""How much work each family gets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from undoor.families.registry import BY_SOURCE, SHARED
from undoor.inversion.invert import Schedule

# With more classes than this, all get a short trial and only some are followed to the end.
FEW_CLASSES = 12


@dataclass(frozen=True)
class Effort:
    """Starts a class, and the schedule of each."""

    starts: int
    schedule: Schedule


# A patch is found from some starts and not from others (in images: see BESIDE_SQUARES); the other
# families have one basin as a rule. Where no trigger of a family reaches all images of any class,
# as with warps and tones, less success is asked for: what counts is how small a trigger does it.
_FEW = {
    "patch": Effort(12, Schedule(steps=130, batch=2, weight=0.02, trial=45, keep=2)),
    "additive": Effort(1, Schedule(steps=80, batch=4, weight=0.1)),
    "blend": Effort(1, Schedule(steps=60, batch=4, weight=10.0)),
    "frequency": Effort(1, Schedule(steps=60, batch=4, success=0.8, weight=0.3)),
    "warp": Effort(1, Schedule(steps=60, batch=4, success=0.6, weight=1.0)),
    "tone": Effort(1, Schedule(steps=60, batch=4, success=0.6, weight=1.0)),
    "generator": Effort(1, Schedule(steps=120, batch=8, success=0.8, weight=0.3)),
    "latent": Effort(1, Schedule(steps=60, batch=4, weight=0.1)),
    BY_SOURCE: Effort(5, Schedule(steps=120, batch=2, weight=0.02, trial=45, keep=2)),
    SHARED: Effort(2, Schedule(steps=120, batch=4, weight=0.02, trial=30, keep=4)),
}
# For patches in images, beside the squares that pull most (`undoor.inversion.patch_starts`):
# these start near a planted patch, the others find scattered ones.
SQUARES = 3
SQUARES_FOR_ALL = 8
BESIDE_SQUARES = Effort(4, Schedule(steps=160, batch=2, weight=0.02, trial=45, keep=2))
# From one square to the next, in their sides: for few classes and for many.
NEAR, FAR = 1.0, 1.8
TRIAL_STEPS = 40


def first_effort(family: str) -> Effort:
    """For every class: enough to see which stand out."""
    return _FEW[_kind(family)]


def trial_schedule(family: str) -> Schedule:
    """For one start of every one of many classes: enough to see which deserve the rest."""
    return replace(_FEW[_kind(family)].schedule, steps=TRIAL_STEPS, batch=2, trial=0)


def rest_schedule(family: str) -> Schedule:
    """For those of many classes that are followed: what the trial left."""
    schedule = _FEW[_kind(family)].schedule
    return replace(schedule, steps=schedule.steps - TRIAL_STEPS, trial=0)


def lone_schedule(family: str) -> Schedule:
    """For one start for one class, where the estimate itself is wanted and no comparison."""
    schedule = _FEW[_kind(family)].schedule
    return replace(schedule, batch=8, steps=schedule.steps + 40, trial=0)


def last_schedule(family: str) -> Schedule:
    """For a suspect's trigger, from the best estimate: until it works on nearly all images."""
    weight = _FEW[_kind(family)].schedule.weight / 10
    return Schedule(steps=80, batch=12, success=0.95, weight=weight)


def _kind(family: str) -> str:
    """Latent families of all depths get the same."""
    return "latent" if family.startswith("latent") else family
