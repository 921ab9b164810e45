"""How much work each family gets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from undoor.scan.invert import Schedule

FEW_CLASSES = 12


@dataclass(frozen=True)
class Effort:
    """Starts a class, and the schedule of each."""

    starts: int
    schedule: Schedule


# A patch is found from some starts and not from others; the other families have one basin as a
# rule. Where no trigger of a family reaches all images of any class, as with warps and tones, less
# success is asked for: what counts is how small a trigger does it.
_FEW = {
    "patch": Effort(12, Schedule(steps=130, batch=2, weight=0.02, trial=45, keep=2)),
    "additive": Effort(1, Schedule(steps=80, batch=4, weight=0.1)),
    "blend": Effort(1, Schedule(steps=60, batch=4, weight=10.0)),
    "frequency": Effort(1, Schedule(steps=60, batch=4, success=0.8, weight=0.3)),
    "warp": Effort(1, Schedule(steps=60, batch=4, success=0.6, weight=1.0)),
    "tone": Effort(1, Schedule(steps=60, batch=4, success=0.6, weight=1.0)),
    "generator": Effort(1, Schedule(steps=120, batch=8, success=0.8, weight=0.3)),
    "latent": Effort(1, Schedule(steps=60, batch=4, weight=0.1)),
}
_MANY = {
    family: Effort(effort.starts, replace(effort.schedule, batch=2))
    for family, effort in _FEW.items()
} | {"patch": Effort(4, Schedule(steps=110, batch=2, weight=0.02, trial=40, keep=1))}


def first_effort(family: str, classes: int) -> Effort:
    """For every class: enough to see which stand out."""
    return (_FEW if classes <= FEW_CLASSES else _MANY)[_kind(family)]


def second_effort(family: str) -> Effort:
    """For the classes that stand out, beside the start from the first estimate."""
    if family == "patch":
        return Effort(3, replace(_FEW[family].schedule, batch=8, steps=160, trial=50, keep=1))
    schedule = _FEW[_kind(family)].schedule
    return Effort(1, replace(schedule, batch=8, steps=schedule.steps + 40))


def last_schedule(family: str) -> Schedule:
    """For a suspect's trigger, from the best estimate: until it works on nearly all images."""
    weight = _FEW[_kind(family)].schedule.weight / 10
    return Schedule(steps=80, batch=12, success=0.95, weight=weight)


def _kind(family: str) -> str:
    """Latent families of all depths get the same."""
    return family.split(maxsplit=1)[0]
