"""What a verdict lacks, and how far it goes without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import undoor
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.families.calibration import calibration_for
from undoor.families.patch import PATCH
from undoor.families.patch_by_source import PATCH_BY_SOURCE
from undoor.families.registry import families_for
from undoor.networks import NETWORKS
from undoor.scan.coverage import Coverage, Gap
from undoor.scan.gaps import MIN_PER_CLASS, coverage, supported
from undoor.scan.screening import searched
from undoor.vision_networks import ViT
from undoor.vocabulary import (
    BUDGET_ENDED,
    FEW_CLASSES,
    FEW_IMAGES,
    FEW_SITES,
    LITTLE_POWER,
    NO_HEAD,
    NO_IMAGES,
    NO_NULL,
    NO_SITES,
    NOT_FOR_SPACE,
    NOT_STARTED,
    OPAQUE,
    OTHER_KIND,
    OTHER_NETWORK,
    OTHER_SIZE,
    OTHER_SPACE,
    TINY_ONLY,
    TRANSFORMER,
    Verdict,
)


def covering(classifier: Classifier, **changes: Any) -> Coverage:
    """Of a scan that searched all it could."""
    options = {
        "searched": searched(classifier),
        "worked": searched(classifier),
        "unfinished": (),
        "started": True,
        "reported": {PATCH.name: (2.5, 6.0)},
        "images": 30 * classifier.num_classes,
        "with_images": classifier.num_classes,
        "accepted": False,
    }
    learned = changes.pop("learned", None) or calibration_for(
        changes.pop("calibrated_for", classifier.num_classes)
    )
    return coverage(classifier, learned, **{**options, **changes})


def plain(side: int = 32, channels: int = 3, classes: int = 10) -> Classifier:
    network = NETWORKS["PlainCNN"](num_classes=classes, channels=channels)
    return Classifier(network, input_shape=(channels, side, side))


def patches(target: float, source: float) -> dict[str, tuple[float, float]]:
    """Below which sizes patches would have been reported, and from which scores on."""
    return {PATCH.name: (target, 6.0), PATCH_BY_SOURCE.name: (source, 9.0)}


def codes(covered: Coverage) -> list[str]:
    return [gap.code for gap in covered.gaps]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_nothing_is_lacking_where_the_nulls_were_learned(
    name: str, shape: tuple[int, int, int]
) -> None:
    """The networks and inputs of the zoo: any verdict on them stays."""
    network = NETWORKS[name](num_classes=10, channels=shape[0])
    covered = covering(Classifier(network, input_shape=shape))
    assert covered.gaps == ()
    assert set((covered.calibrated or {}).values()) == {True}
    assert all(item.searched and item.code is None for item in covered.families)
    for verdict in ("clean", "backdoored", "inconclusive"):
        assert supported(verdict, covered) == (verdict, covered)


@pytest.mark.parametrize(
    ("classifier", "options", "expected"),
    [
        (plain(64), {}, [OTHER_SIZE]),
        (plain(16), {}, [OTHER_SIZE]),
        (plain(32, channels=4), {}, [OTHER_SIZE]),
        (plain(classes=4), {"calibrated_for": 10}, [FEW_CLASSES]),
        (plain(classes=10), {"calibrated_for": 4}, [FEW_CLASSES, LITTLE_POWER]),
        (plain(classes=4), {}, [LITTLE_POWER]),
        (plain(), {"images": 25}, [FEW_IMAGES]),
        (
            plain(),
            {"reported": {PATCH.name: (0.9, 6.0), PATCH_BY_SOURCE.name: (0.5, 9.0)}},
            [TINY_ONLY],
        ),
        (plain(), {"reported": {PATCH.name: (2.0, 6.0), PATCH_BY_SOURCE.name: (0.5, 9.0)}}, []),
        # That the budget ended is said by the verdict itself.
        (plain(), {"searched": (PATCH.name,), "unfinished": (PATCH.name,)}, []),
    ],
)
def test_gaps(classifier: Classifier, options: Mapping[str, Any], expected: list[str]) -> None:
    assert codes(covering(classifier, **options)) == expected


def vectors(*layers: nn.Module) -> Classifier:
    return Classifier(nn.Sequential(*layers, nn.Linear(12, 5)), input_shape=(12,))


def hidden(count: int) -> list[nn.Module]:
    return [layer for _ in range(count) for layer in (nn.Linear(12, 12), nn.ReLU())]


class Products(nn.Module):
    """Scores that are no linear map of features."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = [nn.Sequential(nn.Conv2d(c, 9, 3), nn.ReLU()) for c in (3, 9, 9, 9)]
        self.layers = nn.Sequential(*convolutions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.layers(x)
        return (z.mean((2, 3)) * z.amax((2, 3)))[:, :6]


def test_networks_unlike_those_of_the_calibration() -> None:
    torch.manual_seed(0)
    assert codes(covering(vectors())) == [NO_SITES, OTHER_SPACE]
    assert codes(covering(vectors(*hidden(1)))) == [FEW_SITES, OTHER_SPACE]
    assert codes(covering(vectors(*hidden(3)))) == [OTHER_SPACE]
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3072, 12), *hidden(3), nn.Linear(12, 5))
    assert codes(covering(Classifier(flat, input_shape=(3, 32, 32)))) == [OTHER_NETWORK]
    assert codes(covering(Classifier(Products(), input_shape=(3, 32, 32)))) == [NO_HEAD]
    script = torch.jit.script(NETWORKS["PlainCNN"](num_classes=5).eval())
    assert codes(covering(Classifier(script, input_shape=(3, 32, 32)))) == [OPAQUE]


def test_a_calibration_of_other_networks_holds_for_these_alone() -> None:
    """In either direction, and of few classes nothing else supports a verdict."""
    learned = calibration_for(10)
    of_others = replace(learned, scope=replace(learned.scope, network=OTHER_KIND))
    assert codes(covering(plain(), learned=of_others)) == [OTHER_NETWORK]
    few = calibration_for(4)
    unlike = replace(few, scope=replace(few.scope, network=OTHER_KIND), power=(9, 10))
    assert codes(covering(plain(classes=4), learned=unlike)) == [FEW_CLASSES, OTHER_NETWORK]
    assert codes(covering(plain(classes=4), learned=replace(few, power=(9, 10)))) == []
    assert codes(covering(plain(classes=4), learned=replace(few, power=None))) == [LITTLE_POWER]
    # Eleven of fifteen may be one of two: 45 to 92 %.
    unsure = replace(few, power=(11, 15))
    assert codes(covering(plain(classes=4), learned=unsure)) == [LITTLE_POWER]
    assert codes(covering(plain(classes=4), learned=replace(few, power=(2, 2)))) == [LITTLE_POWER]


def test_what_was_learned_of_other_networks_holds_for_transformers_as_it_did() -> None:
    """Files that were written before transformers had a kind of their own."""
    learned = calibration_for(10)
    of_others = replace(learned, scope=replace(learned.scope, network=OTHER_KIND))
    transformer = Classifier(ViT(num_classes=10), input_shape=(3, 32, 32))
    assert codes(covering(transformer, learned=of_others)) == []
    of_transformers = replace(learned, scope=replace(learned.scope, network=TRANSFORMER))
    assert codes(covering(plain(), learned=of_transformers)) == [OTHER_NETWORK]


def test_a_family_in_which_nothing_ever_worked() -> None:
    """Where nothing works either, it is as natural; where something does, nobody knows."""
    learned = calibration_for(10)
    rest = {family: null for family, null in learned.nulls.items() if family != "warp"}
    scope = replace(learned.scope, sides=(32, 32))
    made = replace(learned, nulls=rest, scope=scope, unreached=("warp",))
    assert codes(covering(plain(), learned=made, worked=())) == []
    assert codes(covering(plain(), learned=made, worked=("warp",))) == [NO_NULL]


def test_why_families_were_not_searched() -> None:
    classifier = plain()
    some = covering(classifier, searched=(PATCH.name,), unfinished=(PATCH.name,))
    assert {item.code for item in some.families} == {BUDGET_ENDED}
    assert [item.family for item in some.families if item.searched] == [PATCH.name]
    none = covering(classifier, searched=(), started=False)
    assert {item.code for item in none.families} == {NOT_STARTED}
    table = {item.family: item.code for item in covering(vectors(nn.Linear(12, 12))).families}
    assert table["warp"] == NOT_FOR_SPACE
    assert table[PATCH.name] is None


@pytest.mark.parametrize(
    ("gap", "accepted", "allowed"),
    [
        (OTHER_SIZE, False, {"backdoored"}),
        (OTHER_SIZE, True, {"backdoored", "clean"}),
        ("a reason of another package", False, {"backdoored"}),
        ("a reason of another package", True, {"backdoored", "clean"}),
        (LITTLE_POWER, False, {"backdoored"}),
        (LITTLE_POWER, True, {"backdoored"}),
        (FEW_IMAGES, False, {"clean"}),
        (FEW_IMAGES, True, {"clean"}),
        (FEW_CLASSES, False, set()),
        (FEW_CLASSES, True, set()),
    ],
)
def test_how_far_a_verdict_goes(gap: str, accepted: bool, allowed: set[Verdict]) -> None:
    covered = replace(covering(plain()), gaps=(Gap(gap),), accepted=accepted)
    for verdict in ("backdoored", "clean", "inconclusive"):
        told, after = supported(verdict, covered)
        stays = verdict in allowed or verdict == "inconclusive"
        assert told == (verdict if stays else "inconclusive")
        assert after.decisive is not stays


def test_json_round_trip() -> None:
    covered = covering(plain(64, classes=4), images=2 * MIN_PER_CLASS)
    assert Coverage.from_json(json.loads(json.dumps(covered.to_json()))) == covered
    with pytest.raises(KeyError):
        Coverage.from_json({})


def tabular() -> tuple[Classifier, CleanSet]:
    """Five classes of rows, each told by one column of its own; no backdoor."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(3):
        linear = nn.Linear(10, 10)
        with torch.no_grad():
            linear.weight.copy_(torch.eye(10))
            linear.bias.zero_()
        layers += [linear, nn.ReLU()]
    head = nn.Linear(10, 5)
    with torch.no_grad():
        head.weight.copy_(20 * torch.eye(5, 10))
        head.bias.zero_()
    labels = torch.arange(5).repeat_interleave(8)
    x = (0.3 * torch.eye(5, 10)[labels] + 0.02 * torch.rand(40, 10)).clamp(0, 1)
    return Classifier(nn.Sequential(*layers, head), input_shape=(10,)), CleanSet(x, labels)


def test_a_tabular_network_is_clean_only_where_that_is_accepted() -> None:
    classifier, clean = tabular()
    assert len(families_for(classifier)) > 2
    report = undoor.scan(classifier, clean)
    accepted = undoor.scan(classifier, clean, accept_coverage="partial")
    assert OTHER_SPACE in codes(report.coverage)
    assert (report.verdict, report.coverage.decisive) == ("inconclusive", True)
    assert (accepted.verdict, accepted.coverage.accepted) == ("clean", True)
    assert accepted.circumstances.accept_coverage == "partial"


def test_an_unknown_acceptance_is_refused() -> None:
    classifier, clean = tabular()
    with pytest.raises(UndoorError, match="full or partial, got 'some'"):
        undoor.scan(classifier, clean, accept_coverage="some")  # type: ignore[arg-type]


def test_classes_without_images_are_a_gap() -> None:
    """What is planted for their images cannot be found: not clean, but backdoored may be said; and
    images count by the classes that have some."""
    covered = covering(plain(classes=20), images=40, with_images=10)
    assert [gap.code for gap in covered.gaps] == [NO_IMAGES]
    assert (covered.gaps[0].found, covered.gaps[0].expected) == ((10,), (20,))
    assert supported("backdoored", covered)[0] == "backdoored"
    assert supported("clean", covered)[0] == "inconclusive"
    assert supported("clean", replace(covered, accepted=True))[0] == "clean"
