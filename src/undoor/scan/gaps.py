"""What a search in a network covers, and which verdicts that supports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.families.calibration import Calibration, Scope
from undoor.families.family import Family
from undoor.families.registry import families, family_named, nulls
from undoor.rate import clopper_pearson
from undoor.scan.coverage import Coverage, FamilyCoverage, Gap
from undoor.sites import network_kind
from undoor.spaces.registry import space_named
from undoor.spaces.space import Space
from undoor.vocabulary import (
    BUDGET_ENDED,
    FEW_CLASSES,
    FEW_IMAGES,
    FEW_SITES,
    LITTLE_POWER,
    MANY_CLASSES,
    NO_IMAGES,
    NO_NULL,
    NOT_FOR_SPACE,
    NOT_STARTED,
    OPAQUE,
    OTHER_NETWORK,
    OTHER_SIZE,
    OTHER_SPACE,
    OTHER_TASK,
    SAME_SITE,
    TINY_ONLY,
    UNKNOWN_TASK,
    AcceptCoverage,
    Cause,
    Verdict,
)

# With fewer images per class, universal perturbations pass for triggers: of three clean models two
# were called backdoored with one image per class, none with four.
MIN_PER_CLASS = 3
# Where the level may find no more of the backdoored models that were learned from, by the lower end
# of the interval of the share, that nothing stands out says little.
MIN_POWER = 0.5
# That a search did not take place, or ended early, is among the reasons of the verdict.
ENDED = (BUDGET_ENDED, NOT_STARTED)


def require_acceptance(accept_coverage: str) -> None:
    """Refuse a value of `accept_coverage` that does not exist.

    Raises
    ------
    UndoorError
        It is neither "full" nor "partial".
    """
    choices = get_args(AcceptCoverage)
    if accept_coverage not in choices:
        raise UndoorError(
            f"expected accept_coverage to be {' or '.join(choices)}, got {accept_coverage!r}"
        )


def coverage(
    classifier: Classifier,
    learned: Calibration,
    *,
    searched: Collection[str],
    worked: Collection[str],
    unfinished: Collection[str],
    started: bool,
    reported: Mapping[str, tuple[float | None, float]],
    images: int,
    with_images: int,
    accepted: bool,
    limits: Sequence[Gap] = (),
) -> Coverage:
    """Describe what a search in a network covers.

    Parameters
    ----------
    classifier
        The network.
    learned
        What natural triggers look like.
    searched, worked, unfinished
        The families that were searched; those of them of which a trigger worked for a class; and
        those whose search was cut short.
    started
        Whether there was a search at all.
    reported
        By family, the size below which, None for a margin, and the score from which on a trigger
        would have been reported.
    images, with_images
        How many clean images there are, and of how many classes.
    accepted
        Whether the user accepts what can be accepted.
    limits
        To what the search was limited.
    """
    each, known = [], nulls(learned)
    for family in families():
        if classifier.space.name in family.on_request or family.spaces <= family.on_request:
            continue
        if classifier.task.at_one_size and not family.searched_in(
            classifier.space, classifier.task
        ):
            continue
        if _of_another_kind(family, classifier.space):
            continue
        below, alarm = reported.get(family.name, (None, None))
        code = _code(family, classifier, searched, unfinished, started=started)
        # That no trigger works is what is natural there.
        natural = family.name in learned.unreached and family.name not in worked
        has_null = family.name in known or natural
        done = family.name in searched
        each.append(FamilyCoverage(family.name, done, code, below, alarm, has_null))
    shape, kind = classifier.input_shape, network_kind(classifier)
    found = Coverage(
        tuple(each),
        kind,
        classifier.space.name,
        classifier.task.name,
        shape,
        classifier.num_classes,
        _calibrated(classifier, kind, learned.scope),
    )
    gaps = (*limits, *_gaps(found, learned, images / with_images, with_images))
    if not comparable(classifier, learned):
        gaps = (Gap(UNKNOWN_TASK), *(gap for gap in gaps if gap.code != OTHER_TASK))
    return replace(found, gaps=gaps, accepted=accepted)


def _of_another_kind(family: Family, space: Space) -> bool:
    """Return whether nothing is missing where a family is not searched in inputs of this space.

    Rows and signals have nothing that other inputs have, and no other space has cells or samples.
    """
    own = space.own_families or all(space_named(name).own_families for name in family.spaces)
    return own and not family.applies_to(space)


def supported(verdict: Verdict, covered: Coverage) -> tuple[Verdict, Coverage]:
    """Return the verdict of a search where its coverage supports it, and inconclusive where not.

    A task or a number of classes that nothing was learned of supports no verdict, and few images
    not the verdict backdoored. Any other gap that is not accepted does not support the verdict
    clean.
    """
    codes = {gap.code for gap in covered.open_gaps}
    allowed: dict[Verdict, bool] = {
        "inconclusive": True,
        "backdoored": not codes & {FEW_CLASSES, FEW_IMAGES, UNKNOWN_TASK},
        "clean": not codes - {FEW_IMAGES},
    }
    if allowed[verdict]:
        return verdict, covered
    return "inconclusive", replace(covered, decisive=True)


def comparable(classifier: Classifier, learned: Calibration) -> bool:
    """Return whether margins say something of a model whose task searches for nothing else."""
    space, task = classifier.space.name, classifier.task
    return not task.at_one_size or (space, task.name) == (learned.scope.space, learned.scope.task)


def shortages(verdict: Verdict, covered: Coverage) -> tuple[Cause, ...]:
    """Return the shortages that concern this verdict of a search: of images, of classes."""
    codes = {gap.code for gap in covered.gaps}
    images = (FEW_IMAGES,) if verdict == "backdoored" and FEW_IMAGES in codes else ()
    return (*images, *((FEW_CLASSES,) if FEW_CLASSES in codes else ()))


def _code(
    family: Family,
    classifier: Classifier,
    searched: Collection[str],
    unfinished: Collection[str],
    *,
    started: bool,
) -> str | None:
    """Return why a family was not searched to the end; None where it was."""
    if family.name in searched:
        return BUDGET_ENDED if family.name in unfinished else None
    if not family.applies_to(classifier.space):
        return NOT_FOR_SPACE
    return family.why_missing(classifier) or (BUDGET_ENDED if started else NOT_STARTED)


def _calibrated(classifier: Classifier, kind: str, scope: Scope) -> dict[str, bool]:
    """Compare the network with those that the nulls were learned from, property by property."""
    space, classes = classifier.space.name == scope.space, classifier.num_classes
    alike = {
        "network": scope.covers_network(kind),
        "space": space,
        "size": space and scope.covers_size(classifier.input_shape),
        "task": classifier.task.name == scope.task,
    }
    # Where each of few classes counts by itself, all has to be alike.
    comparable = classes >= MANY_CLASSES or all(alike.values())
    return {**alike, "classes": comparable and scope.covers_classes(classes)}


def _gaps(
    covered: Coverage, learned: Calibration, per_class: float, with_images: int
) -> Iterator[Gap]:
    """Yield the gaps, those that exclude most verdicts first."""
    calibrated, scope = covered.calibrated or {}, learned.scope
    if not calibrated["classes"]:
        yield Gap(FEW_CLASSES, (), (covered.classes or 0,), scope.classes)
    if per_class < MIN_PER_CLASS:
        yield Gap(FEW_IMAGES, (), (per_class,), (MIN_PER_CLASS,))
    if with_images < (covered.classes or 0):
        yield Gap(NO_IMAGES, (), ((covered.classes or 0) - with_images,), (covered.classes or 0,))
    yield from _left_out(covered.families)
    unknown = tuple(item.family for item in covered.families if item.searched and not item.has_null)
    if unknown:
        yield Gap(NO_NULL, unknown)
    yield from _unlike(covered, scope, calibrated)
    found, tried = learned.power or (0, 0)
    weak = bool(tried) and clopper_pearson(found, tried)[0] <= MIN_POWER
    if weak or (scope.absolute and not tried):
        yield Gap(LITTLE_POWER, (), (found, tried), (MIN_POWER,))
    tiny = _tiny(covered.detectable)
    if tiny:
        yield Gap(TINY_ONLY, tuple(tiny), tuple(tiny.values()), _smallest(tiny))


def _left_out(each: Sequence[FamilyCoverage]) -> Iterator[Gap]:
    """Yield the families that were not searched although they apply, by the reason."""
    by_code: dict[str, list[str]] = {}
    for item in each:
        if item.code is not None and not item.searched and item.code not in ENDED:
            by_code.setdefault(item.code, []).append(item.family)
    for code, names in by_code.items():
        if code == SAME_SITE:
            yield Gap(FEW_SITES, tuple(names))
        elif code != NOT_FOR_SPACE:
            yield Gap(code, tuple(names))


def _unlike(covered: Coverage, scope: Scope, calibrated: Mapping[str, bool]) -> Iterator[Gap]:
    """Yield in what the network differs from those that the nulls were learned from.

    In other spaces than images nothing further is compared; an opaque network is a gap already.
    """
    if not calibrated["task"]:
        yield Gap(OTHER_TASK)
    if not calibrated["space"]:
        yield Gap(OTHER_SPACE)
        return
    if not calibrated["size"]:
        yield Gap(OTHER_SIZE, (), covered.shape, (*scope.sides, *scope.channels))
    if covered.network != OPAQUE and not calibrated["network"]:
        yield Gap(OTHER_NETWORK)


def _tiny(detectable: Mapping[str, float]) -> dict[str, float]:
    """Return the sizes of families with a smallest trigger that is too large to be reported.

    Empty where the smallest trigger of one such family would have been reported.
    """
    sized = {name: size for name, size in detectable.items() if family_named(name).smallest}
    return (
        sized if all(s < n for s, n in zip(sized.values(), _smallest(sized), strict=True)) else {}
    )


def _smallest(names: Collection[str]) -> tuple[float, ...]:
    return tuple(family_named(name).smallest or 0.0 for name in names)
