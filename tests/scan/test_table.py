"""What the sizes of all families and classes say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from helpers.family_names import BY_SOURCE, SHARED
from helpers.tiny import true_trigger
from undoor.families.calibration import Calibration, Scope, calibration_for
from undoor.families.null import Lowest, Null
from undoor.inversion.candidates import ALL, Candidate
from undoor.scan.combination import ABOVE, alone, as_lowest, for_classes, interval
from undoor.scan.reestimate import Reestimate
from undoor.scan.report import ClassEvidence
from undoor.scan.statistics import p_values
from undoor.scan.table import Table
from undoor.spaces.registry import space_of
from undoor.tasks.single_label import SINGLE_LABEL

NULL = Null(natural=10.0, ceiling=40.0, location=0.3, scale=0.2)
# As low as chance says.
LOWEST = Lowest(threshold=-math.log(ABOVE), excess=1.0, models=60)
SIZES = (20.0, 24.0, 22.0, 21.0)
FAMILIES = ("patch", "patch margin", "additive", "tone", "latent late", BY_SOURCE, SHARED)
# It does not change with the next calibration of undoor.
LEARNED = Calibration(
    dict.fromkeys(FAMILIES, NULL), calibration_for(10).agreement, LOWEST, Scope(), models=()
)
Sizes = Sequence[float | None]


class Shape:
    """All that a table asks of a classifier."""

    def __init__(self, classes: int = 4, shape: tuple[int, ...] = (3, 32, 32)) -> None:
        self.num_classes = classes
        self.space, self.task = space_of(shape), SINGLE_LABEL
        self.extent = self.space.extent(shape)


def made(
    classes: int = 4, shape: tuple[int, ...] = (3, 32, 32), learned: Calibration = LEARNED
) -> Table:
    return Table(Shape(classes, shape), learned)  # type: ignore[arg-type]


def candidates(sizes: Sizes, first: int = 0, family: str = "patch") -> list[Candidate]:
    return [Candidate(first + i, family, size, true_trigger()) for i, size in enumerate(sizes)]


def shared(size: float | None) -> Candidate:
    return Candidate(ALL, "patch", size, true_trigger())


def quiet(classes: int) -> float:
    """The p-value of a class to which no family objects."""
    return float(for_classes(as_lowest(np.array([0.5]), LOWEST), classes)[0])


def needed(family: str, alpha: float, table: Table) -> float:
    """The p-value of one family that is `alpha` over all that are in a table."""
    known = dict.fromkeys(table.entries, NULL)
    return alone(alpha, family, known, LEARNED.agreement, LOWEST, table.classes)


# Families of targets


def test_the_smallest_is_the_loudest() -> None:
    table = made()
    table.add("patch", candidates((20.0, 24.0, 1.0, 21.0)))
    table.add("additive", candidates(SIZES, family="additive"))
    p = table.combined()
    assert p.shape == (4,)
    assert p.argmin() == 2
    assert p[2] < 1e-4
    assert np.delete(p, 2).min() == pytest.approx(quiet(4))
    loudest = table.strongest(2)
    assert loudest is not None
    family, entry = loudest
    assert (family, entry.targets, entry.source, entry.size) == ("patch", (2,), None, 1.0)
    assert entry.score > 20
    assert [c.target for c in table.candidates("patch")] == [0, 1, 2, 3]


def test_the_loudest_of_some_families() -> None:
    table = made()
    table.add("patch", candidates((20.0, 24.0, 7.0, 21.0)))
    table.add("latent late", candidates((20.0, 24.0, 1.0, 21.0), family="latent late"))
    everything, inputs = table.strongest(2), table.strongest(2, ("patch", "additive"))
    assert everything is not None
    assert inputs is not None
    assert (everything[0], inputs[0]) == ("latent late", "patch")
    assert table.strongest(2, (SHARED,)) is None


def test_classes_that_were_not_followed() -> None:
    """They are no suspects, and nothing is known of them."""
    table = made(classes=40)
    table.add("patch", candidates((20.0, 1.0, 22.0, 21.0), first=10))
    p = table.combined()
    assert p.shape == (40,)
    assert p.argmin() == 11
    assert np.delete(p, [10, 11, 12, 13]) == pytest.approx(quiet(40))
    assert table.strongest(3) is None
    assert [item.target for item in table.all_evidence(())] == [10, 11, 12, 13]


def test_one_of_many_must_be_smaller() -> None:
    """All classes had their chance to be small, the followed and the others."""
    p = []
    for classes in (4, 40):
        table = made(classes)
        table.add("patch", candidates((20.0, 5.0, 22.0, 21.0)))
        p.append(table.combined()[1])
    assert 2 * p[0] < p[1]


# Families of sources


def test_sources_speak_of_where_their_images_go() -> None:
    table = made()
    table.add_sources(BY_SOURCE, candidates((2.0, 1.0, 24.0, 21.0)), [(3,), (3,), (3,), ()])
    p = table.combined()
    assert p.argmin() == 3
    assert p[:3] == pytest.approx(quiet(4))
    loudest = table.strongest(3)
    assert loudest is not None
    # The source that says most about the target, although others end there too.
    assert loudest[1].source == 1
    assert loudest[1].p_value <= p[3] < 0.05
    evidence = table.all_evidence(())
    assert [(e.source, e.target) for e in evidence] == [(0, 3), (1, 3), (2, 3), (3, None)]


def test_all_sources_stand_beside_each_other() -> None:
    """Where each can be moved as easily, none stands out; no target is named by that alone."""
    table = made()
    table.add_sources(BY_SOURCE, candidates(SIZES), [(1,), (2,), (3,), (0,)])
    assert table.combined().min() == pytest.approx(quiet(4))


# The shared patch


def with_shared(
    size: float | None,
    learned: Calibration = LEARNED,
    *,
    ends: tuple[int, ...] = (),
    classes: int = 4,
    sizes: Sizes = SIZES,
) -> Table:
    """A table in which the sources' own patches are natural."""
    table = made(classes, learned=learned)
    table.add_sources(BY_SOURCE, candidates(sizes), [()] * len(sizes))
    table.add_shared(SHARED, shared(size), ends)
    return table


def test_a_small_shared_patch_speaks_of_all_ends() -> None:
    p = with_shared(1.0, ends=(0, 2)).combined()
    assert p[[0, 2]].max() < 1e-3
    assert p[[1, 3]].min() == pytest.approx(quiet(4))


def test_a_shared_patch_with_several_ends_has_no_target() -> None:
    several, one = (with_shared(1.0, ends=ends).all_evidence(())[-1] for ends in ((0, 2), (2,)))
    assert (several.family, several.target, several.source) == (SHARED, None, None)
    assert (one.target, one.source, one.size) == (2, None, 1.0)


@pytest.mark.parametrize("size", [22.0, 40.0, None])
def test_a_natural_shared_patch_says_nothing(size: float | None) -> None:
    assert with_shared(size, ends=(0, 1, 2, 3)).combined().min() == pytest.approx(quiet(4))


def test_a_shared_patch_is_judged_beside_those_of_sources() -> None:
    """By hand: the lower quartile of the sources is 10, and 2 is 5 times below natural."""
    (entry,) = with_shared(2.0, sizes=(10.0, 10.0, 10.0, 30.0)).entries[SHARED]
    assert entry.score == pytest.approx(5 * 5**0.3, rel=1e-3)


def test_a_lone_patch_counts_as_usual() -> None:
    """There is one shared patch, however many classes the model has."""
    few, many = (with_shared(6.0, classes=classes).entries[SHARED][0] for classes in (4, 40))
    assert few.p_value == many.p_value


# Later evidence


@pytest.mark.parametrize(
    ("size", "side", "natural"), [(9.0, 32, False), (10.0, 32, True), (10.0, 64, False)]
)
def test_what_is_as_large_as_natural_triggers(size: float, side: int, natural: bool) -> None:
    """Natural patches grow with the image."""
    table = made(shape=(3, side, side))
    (candidate,) = candidates((size,))
    assert table.is_natural(candidate) == natural
    assert not table.is_natural(replace(candidate, size=None))
    assert not table.is_natural(replace(candidate, family="unknown"))


def test_better_candidates_replace_the_first() -> None:
    """The size that is shown is the one that counts: that of the same effort."""
    table = made()
    table.add("patch", candidates((20.0, 24.0, 5.0, 21.0)))
    before = table.entries["patch"]
    better = Candidate(2, "patch", 0.5, true_trigger())
    table.replace("patch", {2: Reestimate(better, 1.0)})
    second = made()
    second.add("patch", candidates((20.0, 24.0, 1.0, 21.0)))
    assert [e.score for e in table.entries["patch"]] == [e.score for e in second.entries["patch"]]
    assert table.entries["patch"][2].p_value < before[2].p_value
    assert table.entries["patch"][2].candidate is better
    assert table.all_evidence(())[2].size == 1.0
    assert table.entries["patch"][0].candidate is before[0].candidate


def test_replacing_nothing_changes_nothing() -> None:
    table = made()
    table.add("patch", candidates(SIZES))
    before = table.all_evidence(())
    table.replace("patch", {})
    assert table.all_evidence(()) == before


def test_evidence_that_is_known_to_be_more() -> None:
    """In its place among the rest, told apart by family, target and source."""
    table = made()
    table.add("patch", candidates(SIZES))
    table.add_sources(BY_SOURCE, candidates(SIZES), [(1,), (3,), (1,), (1,)])
    known = [
        ClassEvidence(1, "patch", 24.0, 1.0, 0.5, 0.9),
        ClassEvidence(1, BY_SOURCE, 22.0, 1.0, 0.5, 0.8, source=2),
    ]
    evidence = table.all_evidence(known)
    assert [item.asr for item in evidence] == [None, 0.9, None, None, None, None, 0.8, None]


def test_whether_anything_worked() -> None:
    table = made()
    table.add("patch", candidates([None] * 4))
    assert not table.reached
    table.add_sources(BY_SOURCE, candidates([None, None, 3.0, None]), [()] * 4)
    assert table.reached


# Units


@pytest.mark.parametrize(("family", "factor"), [("patch", 4), ("additive", 2), ("tone", 1)])
def test_larger_images_have_larger_natural_triggers(family: str, factor: float) -> None:
    usual, large = made(), made(shape=(3, 64, 64))
    usual.add(family, candidates((20.0, 24.0, 3.0, None), family=family))
    sizes = (20.0 * factor, 24.0 * factor, 3.0 * factor, None)
    large.add(family, candidates(sizes, family=family))
    one, other = usual.entries[family], large.entries[family]
    assert [e.score for e in other] == pytest.approx([e.score for e in one])
    assert large.ceiling(family) == pytest.approx(factor * usual.ceiling(family))
    assert large.detectable(0.02)[family] == pytest.approx(factor * usual.detectable(0.02)[family])


def test_a_shared_patch_that_never_worked_says_nothing_of_vectors() -> None:
    table = made(shape=(80,))
    table.add_sources(BY_SOURCE, candidates(SIZES), [()] * 4)
    table.add_shared(SHARED, shared(None), (1,))
    assert table.combined().min() == pytest.approx(quiet(4))


def test_patches_of_sources_and_all_grow_alike() -> None:
    usual, large = made(), made(shape=(3, 64, 64))
    for table, factor in ((usual, 1), (large, 4)):
        sizes = [factor * size for size in SIZES]
        table.add_sources(BY_SOURCE, candidates(sizes), [()] * 4)
        table.add_shared(SHARED, shared(factor * 5.0), ())
    for family in (BY_SOURCE, SHARED):
        one, other = ([e.score for e in t.entries[family]] for t in (usual, large))
        assert other == pytest.approx(one)


def test_inputs_that_are_no_images() -> None:
    """Nothing was learned about their units: only what the others need counts."""
    small, large = made(shape=(8,)), made(shape=(8,))
    small.add("patch", candidates((0.2, 0.2, 0.01, 0.2)))
    large.add("patch", candidates((200.0, 200.0, 10.0, 200.0)))
    assert small.combined() == pytest.approx(large.combined())
    assert small.combined()[2] < 0.01


# Margins


def clear(margins: Sequence[float]) -> list[Candidate]:
    return [
        Candidate(label, "patch", 36.0, true_trigger(), margin=margin)
        for label, margin in enumerate(margins)
    ]


def test_the_clearest_is_the_loudest() -> None:
    table = made(5)
    table.add("patch margin", clear((-2.0, -1.5, 4.0, -2.5, -3.0)))
    assert table.combined().argmin() == 2
    assert table.combined()[2] < 0.01
    evidence = table.all_evidence(())
    assert [item.margin for item in evidence] == [-2.0, -1.5, 4.0, -2.5, -3.0]
    assert {item.size for item in evidence} == {36.0}
    assert "patch margin" not in table.detectable(0.02)
    assert evidence[2].score > table.alarms(0.02)["patch margin"] > evidence[1].score
    assert table.crowds() == ()


@pytest.mark.parametrize(("margin", "reached"), [(-0.1, False), (0.1, True)])
def test_a_margin_above_0_works(margin: float, reached: bool) -> None:
    table = made()
    table.add("patch margin", clear((-2.0, margin, -3.0, -2.0)))
    assert table.reached == reached


def test_intervals_hold_the_p_values() -> None:
    table = made()
    table.add("patch", candidates((20.0, 24.0, 1.0, 21.0)))
    p = table.combined()
    intervals = interval(p, LOWEST)
    assert intervals.shape == (4, 2)
    assert (intervals[:, 0] <= p).all()
    assert intervals[2, 0] < p[2] < intervals[2, 1]


# What would have been found


@pytest.mark.parametrize("alpha", [0.02, 0.1])
def test_a_score_of_alarm_has_that_p_value(alpha: float) -> None:
    """Of one family its share, and over both where the other says nothing."""
    table = made(classes=10)
    for family in ("patch", "additive"):
        table.add(family, candidates([20.0] * 10, family=family))
    alarm = table.alarms(alpha)["patch"]
    assert p_values(np.array([alarm]), NULL) == pytest.approx(needed("patch", alpha, table))


@pytest.mark.parametrize("alpha", [0.02, 0.1])
def test_a_class_of_detectable_size_has_that_p_value(alpha: float) -> None:
    """Had it been one more class, and had the other families said nothing."""
    table = made(classes=5)
    sizes = (20.0, 20.0, 20.0, 20.0)
    table.add("patch", candidates(sizes))
    table.add("additive", candidates(sizes, family="additive"))
    for family, size in table.detectable(alpha).items():
        more = made(classes=5)
        more.add(family, candidates((*sizes, size), family=family))
        assert more.entries[family][4].p_value == pytest.approx(needed(family, alpha, table))


def test_a_shared_patch_of_detectable_size_has_that_p_value() -> None:
    table = with_shared(None)
    (entry,) = with_shared(table.detectable(0.02)[SHARED]).entries[SHARED]
    lone = for_classes(np.array([needed(SHARED, 0.02, table)]), 10, of=4)
    assert entry.p_value == pytest.approx(lone[0])


def test_a_shared_patch_beside_sources_of_another_ceiling() -> None:
    """What a source's patch can at most be large is the sources' own."""
    nulls = {**LEARNED.nulls, BY_SOURCE: replace(NULL, ceiling=15.0)}
    learned = replace(LEARNED, nulls=nulls)
    table = with_shared(None, learned)
    (entry,) = with_shared(table.detectable(0.02)[SHARED], learned).entries[SHARED]
    lone = for_classes(np.array([needed(SHARED, 0.02, table)]), 10, of=4)
    assert entry.p_value == pytest.approx(lone[0])


def test_many_small_ones_at_once() -> None:
    nulls = {**dict.fromkeys(FAMILIES, replace(NULL, least_others=16.0)), BY_SOURCE: NULL}
    table = made(learned=replace(LEARNED, nulls=nulls))
    table.add("patch", candidates((1.0, 1.2, 1.1, 21.0)))
    table.add("additive", candidates((1.0, 24.0, 22.0, 21.0), family="additive"))
    table.add_sources(BY_SOURCE, candidates((1.0, 1.2, 1.1, 21.0)), [(3,)] * 4)
    assert table.crowds() == ("patch",)
    assert table.crowds(0.7) == ("patch", "additive")
    assert table.combined()[:3].max() < 0.01


def test_what_counts_by_itself_says_nothing_of_another_task() -> None:
    """A score without a natural size would make every trigger as large as can be."""
    nulls = {family: replace(NULL, absolute=True) for family in FAMILIES}
    scope = Scope(classes=(2, 4), task="another")
    table = made(learned=replace(LEARNED, nulls=nulls, scope=scope))
    table.add("patch", candidates([0.01, 30.0, 30.0, 30.0]))
    assert table.nulls == {}
    assert table.entries["patch"][0].score > 1000
    assert (table.combined() == 1).all()


def test_nothing_was_learned_of_another_task() -> None:
    """As of inputs that are no images: the other goals alone say how small a trigger is."""
    known = made()
    known.add("patch", candidates([4.0, 30.0, 30.0, 30.0]))
    unknown = made(learned=replace(LEARNED, scope=Scope(task="another")))
    unknown.add("patch", candidates([4.0, 30.0, 30.0, 30.0]))
    assert known.entries["patch"][0].score > unknown.entries["patch"][0].score
    assert unknown.entries["patch"][0].score == pytest.approx(30 / 4)
