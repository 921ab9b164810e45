"""The trigger families of a scan, and their units."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from helpers.family_names import (
    BY_SOURCE,
    INPUT_FAMILIES,
    LATENT_FAMILIES,
    MARGINS,
    ON_REQUEST,
    SHARED,
)
from helpers.models_of_spaces import model_for
from helpers.tiny import (
    faint_images,
    random_classifier,
    relay_classifier,
    toy_classifier,
)
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.families.latent import DEPTHS, latent_site
from undoor.families.registry import REGISTRY, families, families_for, family_named, unit_of
from undoor.sites import find_sites
from undoor.spaces.images import IMAGES
from undoor.spaces.vectors import VECTORS
from undoor.vocabulary import NO_HEAD, NO_SITES


def test_families() -> None:
    """Those whose margin is measured, and generators, are searched later. Images have one latent
    family, of rows those networks with fewer sites have fewer."""
    assert families_for(random_classifier("mlp")) == ("patch", "additive", "latent late")
    shallow = families_for(toy_classifier(backdoored=True))
    assert shallow == (*MARGINS, "patch", "opaque patch", "warp", "latent middle")
    assert families_for(relay_classifier({})) == shallow


@pytest.mark.parametrize("classifier", [toy_classifier(backdoored=True), random_classifier("mlp")])
def test_the_copy_that_is_searched_has_the_same_families(classifier: Classifier) -> None:
    """Of an image network with one site, it was searched as if its inputs were rows."""
    assert families_for(classifier.fast_copy()) == families_for(classifier)


def convolutions(*last: nn.Module) -> Classifier:
    widths = (3, 9, 9, 9, 9)
    layers = [nn.Sequential(nn.Conv2d(width, 9, 1), nn.LeakyReLU()) for width in widths]
    return Classifier(nn.Sequential(*layers, *last), input_shape=(3, 6, 6))


class Products(nn.Module):
    """Scores that are no linear map of features."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.mean((2, 3)) * x.amax((2, 3)))[:, :4]


def missing(classifier: Classifier) -> set[str]:
    """Why families that apply to the inputs of this network cannot be searched in it."""
    found = {
        family.why_missing(classifier)
        for family in families()
        if family.searched_in(classifier.space, classifier.task)
    }
    return {code for code in found if code is not None}


@pytest.mark.parametrize(
    "last",
    [
        (nn.Conv2d(9, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        (nn.AdaptiveAvgPool2d(1), nn.Conv2d(9, 4, 1), nn.Flatten(), nn.LogSoftmax(1)),
        (nn.Conv2d(9, 4, 6), nn.Flatten()),
    ],
)
def test_latent_families_with_a_convolution_as_head(last: tuple[nn.Module, ...]) -> None:
    """They were left out in silence."""
    torch.manual_seed(0)
    classifier = convolutions(*last)
    assert "latent middle" in families_for(classifier)
    assert missing(classifier) == set()


def test_no_latent_families_without_a_linear_head() -> None:
    """Without its features there is nothing to tell a target's own way by, and the scan says so."""
    torch.manual_seed(0)
    classifier = convolutions(Products())
    assert len(find_sites(classifier)) > len(LATENT_FAMILIES)
    assert not set(families_for(classifier)) & set(LATENT_FAMILIES)
    assert missing(classifier) == {NO_HEAD}


def test_no_latent_families_without_a_layer_inside() -> None:
    classifier = Classifier(nn.Linear(4, 3), input_shape=(4,))
    assert families_for(classifier) == ("patch", "additive")
    assert missing(classifier) == {NO_SITES}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (0, ()),
        (1, ("latent late",)),
        (2, ("latent early", "latent late")),
        (3, tuple(LATENT_FAMILIES)),
        (4, tuple(LATENT_FAMILIES)),
    ],
)
def test_small_networks_have_fewer_latent_families(layers: int, expected: tuple[str, ...]) -> None:
    """One a site; from three sites on all, as in the models that the nulls were learned from."""
    torch.manual_seed(0)
    hidden = [nn.Sequential(nn.Linear(6, 6), nn.LeakyReLU()) for _ in range(layers)]
    classifier = Classifier(nn.Sequential(*hidden, nn.Linear(6, 3)), input_shape=(6,))
    assert families_for(classifier) == ("patch", "additive", *expected)


def test_latent_sites_lie_in_front_of_the_head() -> None:
    """Scores of scores are no place to shift: every class would be reached there."""
    torch.manual_seed(0)
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    behind = (nn.Linear(9, 4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    classifier = convolutions(*pool, *behind)
    names = {latent_site(classifier, depth).name for depth in DEPTHS}
    assert names <= {f"network.{index}.0" for index in range(5)}
    assert len(names) == 3


def test_latent_depths() -> None:
    """From the first site behind the input to the last, each at another."""
    network = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(9)])
    classifier = Classifier(nn.Sequential(network, nn.Linear(4, 3)), input_shape=(4,))
    names = [site.name for site in find_sites(classifier)[1:]]
    found = [names.index(latent_site(classifier, depth).name) for depth in DEPTHS]
    assert list(DEPTHS) == ["early", "middle", "late"]
    assert found == sorted(set(found))
    assert 0 < found[0] < len(names) / 3
    assert len(names) / 2 < found[-1] < len(names) - 1


def test_who_is_barred() -> None:
    """Families that are free enough to make anything look like any class."""
    assert {family.name for family in REGISTRY if family.barred} == {ON_REQUEST, *LATENT_FAMILIES}


def test_candidates_have_the_name_of_their_family() -> None:
    x, classifier = faint_images().images, relay_classifier({})
    for family in REGISTRY:
        shown, inputs = model_for(family, classifier, x)
        bank = family.bank(2, shown, inputs, torch.Generator())
        assert bank.count == 2
        assert bank.family == family.candidates.name == family_named(family.name).candidates.name
        assert family.searched_as is None or family.moves != "target" or family.at_size


def test_units() -> None:
    families = (*INPUT_FAMILIES, *LATENT_FAMILIES, BY_SOURCE, SHARED)
    assert all(unit_of(family) for family in families)
    assert unit_of(BY_SOURCE) == unit_of("patch")


def test_no_such_family() -> None:
    with pytest.raises(
        UndoorError, match=r"expected a trigger family \(patch margin, .*got 'magic'"
    ):
        family_named("magic")


def test_sizes_grow_with_the_image() -> None:
    families = (*INPUT_FAMILIES, *LATENT_FAMILIES, BY_SOURCE, SHARED)
    growth = {family: family_named(family).growth for family in families}
    grown = {f: grow(IMAGES.extent((3, 64, 64))) for f, grow in growth.items()}
    assert all(grow(IMAGES.extent((3, 32, 32))) == 1 for grow in growth.values())
    assert grown["patch"] == grown[BY_SOURCE] == grown[SHARED] == 4
    assert grown["additive"] == grown["warp"] == grown["generator"] == 2
    assert grown["tone"] == grown["blend"] == grown["latent late"] == 1
    assert all(grow(VECTORS.extent((10,))) == 1 for grow in growth.values())
