"""What a search in a network covers, and how far its verdict is carried by that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.families.calibration import SCOPE
from undoor.families.family import Family
from undoor.families.registry import families, family_named
from undoor.scan.coverage import Coverage, FamilyCoverage, Gap
from undoor.sites import network_kind
from undoor.vocabulary import (
    BUDGET_ENDED,
    FEW_CLASSES,
    FEW_IMAGES,
    FEW_SITES,
    NO_NULL,
    NOT_FOR_SPACE,
    NOT_STARTED,
    OTHER_KIND,
    OTHER_NETWORK,
    OTHER_SIZE,
    OTHER_SPACE,
    SAME_SITE,
    TINY_ONLY,
    AcceptCoverage,
    Cause,
    Verdict,
)

# With fewer images per class, universal perturbations pass for triggers: of three clean models two
# were called backdoored with one image per class, none with four.
MIN_PER_CLASS = 3
# Of a search that did not take place, or ended early, the verdict says so itself.
ENDED = (BUDGET_ENDED, NOT_STARTED)


def require_acceptance(accept_coverage: str) -> None:
    """Refuse what is no choice of what a user accepts.

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
    *,
    searched: Collection[str],
    unfinished: Collection[str],
    started: bool,
    reported: Mapping[str, tuple[float, float]],
    per_class: float,
    accepted: bool,
) -> Coverage:
    """What a search in a network covers.

    Parameters
    ----------
    classifier
        The network.
    searched, unfinished
        The families that were, and of these those whose search was cut short.
    started
        Whether there was a search at all.
    reported
        By family, the size below which a trigger would have been reported, and the score from
        which on.
    per_class
        Clean images per class.
    accepted
        Whether the user accepts what can be accepted.
    """
    each = []
    for family in families():
        if family.on_request:
            continue
        below, alarm = reported.get(family.name, (None, None))
        code = _code(family, classifier, searched, unfinished, started=started)
        has_null = family.null is not None
        done = family.name in searched
        each.append(FamilyCoverage(family.name, done, code, below, alarm, has_null))
    shape = classifier.input_shape
    space, kind = classifier.space.name, network_kind(classifier)
    found = Coverage(
        tuple(each), kind, space, shape, classifier.num_classes, _calibrated(classifier, kind)
    )
    return replace(found, gaps=tuple(_gaps(found, per_class)), accepted=accepted)


def judged(verdict: Verdict, covered: Coverage) -> tuple[Verdict, Coverage]:
    """The verdict of a search as far as its coverage carries it.

    Few classes allow none. Few images do not suffice to call a model backdoored; anything else
    that is lacking, and not accepted, not to call it clean.
    """
    codes = {gap.code for gap in covered.open_gaps}
    allowed: dict[Verdict, bool] = {
        "inconclusive": True,
        "backdoored": not codes & {FEW_CLASSES, FEW_IMAGES},
        "clean": not codes - {FEW_IMAGES},
    }
    if allowed[verdict]:
        return verdict, covered
    return "inconclusive", replace(covered, decisive=True)


def few(verdict: Verdict, covered: Coverage) -> tuple[Cause, ...]:
    """Of what there is too little for this verdict of a search."""
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
    """Why a family was not searched to the end; None where it was."""
    if family.name in searched:
        return BUDGET_ENDED if family.name in unfinished else None
    if not family.applies_to(classifier.space):
        return NOT_FOR_SPACE
    return family.why_missing(classifier) or (BUDGET_ENDED if started else NOT_STARTED)


def _calibrated(classifier: Classifier, kind: str) -> dict[str, bool]:
    """In what the network is like those that the nulls were learned from."""
    shape = classifier.input_shape
    # Nor was anything learned of other tasks.
    space = classifier.space.name == SCOPE.space and classifier.task.calibrated
    return {
        "network": kind == SCOPE.network,
        "space": space,
        "size": space and SCOPE.covers_size(shape),
        "classes": classifier.num_classes >= SCOPE.classes,
    }


def _gaps(covered: Coverage, per_class: float) -> Iterator[Gap]:
    """What is lacking, what forbids most first."""
    calibrated = covered.calibrated or {}
    if not calibrated["classes"]:
        yield Gap(FEW_CLASSES, (), (covered.classes or 0,), (SCOPE.classes,))
    if per_class < MIN_PER_CLASS:
        yield Gap(FEW_IMAGES, (), (per_class,), (MIN_PER_CLASS,))
    yield from _left_out(covered.families)
    unknown = tuple(item.family for item in covered.families if item.searched and not item.has_null)
    if unknown:
        yield Gap(NO_NULL, unknown)
    yield from _unlike(covered, calibrated)
    tiny = _tiny(covered.detectable)
    if tiny:
        yield Gap(TINY_ONLY, tuple(tiny), tuple(tiny.values()), _smallest(tiny))


def _left_out(each: Sequence[FamilyCoverage]) -> Iterator[Gap]:
    """Families that were not searched though they apply, by the reason."""
    by_code: dict[str, list[str]] = {}
    for item in each:
        if item.code is not None and not item.searched and item.code not in ENDED:
            by_code.setdefault(item.code, []).append(item.family)
    for code, names in by_code.items():
        if code == SAME_SITE:
            yield Gap(FEW_SITES, tuple(names))
        elif code != NOT_FOR_SPACE:
            yield Gap(code, tuple(names))


def _unlike(covered: Coverage, calibrated: Mapping[str, bool]) -> Iterator[Gap]:
    """In what the network is unlike those that the nulls were learned from. Of vectors no more is
    known than that; an opaque network is a gap already."""
    if not calibrated["space"]:
        yield Gap(OTHER_SPACE)
        return
    if not calibrated["size"]:
        yield Gap(OTHER_SIZE, (), covered.shape, (*SCOPE.sides, *SCOPE.channels))
    if covered.network == OTHER_KIND:
        yield Gap(OTHER_NETWORK)


def _tiny(detectable: Mapping[str, float]) -> dict[str, float]:
    """The families of which no trigger is so small that it would have been reported, by the size;
    empty where some of another family would have been."""
    sized = {name: size for name, size in detectable.items() if family_named(name).smallest}
    return (
        sized if all(s < n for s, n in zip(sized.values(), _smallest(sized), strict=True)) else {}
    )


def _smallest(names: Collection[str]) -> tuple[float, ...]:
    return tuple(family_named(name).smallest or 0.0 for name in names)
