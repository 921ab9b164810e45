"""Models under a trigger, at the input and inside; what is estimated inside, and repaired."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers.family_names import INPUT_FAMILIES
from helpers.tiny import TARGET, clean_images, random_classifier, random_inputs, toy_classifier
from undoor.align.select import fit_to
from undoor.align.unit_activations import site_shifts
from undoor.errors import UndoorError
from undoor.evaluate import stamp_set
from undoor.families.latent import latent_site
from undoor.families.registry import family_named
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Search
from undoor.inversion.invert import invert
from undoor.inversion.triggered import half_triggered, triggered
from undoor.sites import attach, find_sites
from undoor.triggers import Latent, Trigger, load_trigger
from undoor.triggers.pictures import trigger_picture


def latent(kind: str = "conv_norm") -> Latent:
    classifier = random_classifier(kind)
    site = find_sites(classifier)[1]
    return Latent("latent early", 5 * torch.ones(site.shape[0]), site.name)


def test_triggers_of_the_input() -> None:
    classifier = random_classifier("conv_norm")
    x = random_inputs(classifier, 6)
    bank = family_named("warp").bank(1, classifier, x, torch.Generator().manual_seed(0))
    trigger = bank.export(0)
    assert torch.allclose(triggered(classifier, trigger)(x), classifier(trigger(x)), atol=1e-6)


@pytest.mark.parametrize("kind", ["conv_norm", "conv"])
def test_latent_triggers(kind: str) -> None:
    """The second half of a batch carries the trigger, the first does not."""
    classifier, trigger = random_classifier(kind), latent(kind)
    x = random_inputs(classifier, 6)
    moved = triggered(classifier, trigger)(x)
    assert not torch.allclose(moved, classifier(x), atol=1e-3)
    both = half_triggered(classifier, trigger)(torch.cat([x, x]))
    assert torch.allclose(both, torch.cat([classifier(x), moved]), atol=1e-5)


def test_a_latent_trigger_is_corrected_where_it_acts() -> None:
    """Its shift is one number a channel, and so is the correction: nothing of it is left."""
    classifier, trigger = random_classifier("conv_norm"), latent()
    x = random_inputs(classifier, 40)
    corrections = fit_to(classifier, trigger, x, {trigger.site: "channel"}, fit="onepass")
    corrected = attach(classifier, corrections)
    repaired = triggered(corrected, trigger)(x)
    assert (repaired.argmax(1) == classifier(x).argmax(1)).float().mean() > 0.9
    assert site_shifts(classifier, [trigger.site], trigger, x)[trigger.site] > 0.5


def test_latent_triggers_cannot_be_stamped() -> None:
    with pytest.raises(UndoorError, match="inside the network"):
        stamp_set(clean_images(), latent(), TARGET)


def test_latent_triggers_are_estimated_inside() -> None:
    """An image that carries nothing at its pixels is moved by a shift of the channels."""
    classifier = toy_classifier(backdoored=True, norm=True)
    x = clean_images().images
    pool = (clean_images().labels != TARGET).nonzero()[:, 0]
    bank = family_named("latent early").bank(2, classifier, x, torch.Generator().manual_seed(0))
    assert bank.site == latent_site(classifier, "early").name
    (candidate,) = invert(
        classifier,
        x,
        [Search(TARGET, pool)],
        family="latent early",
        schedule=Schedule(steps=150, batch=8, success=0.6, weight=0.03),
        generator=torch.Generator().manual_seed(0),
    )
    assert candidate.size is not None
    answers = triggered(classifier, candidate.trigger).predict(x[pool])
    assert float((answers == TARGET).float().mean()) > 0.4


def test_every_kind_has_a_picture(tmp_path: Path) -> None:
    classifier = random_classifier("conv_norm")
    x = random_inputs(classifier, 6)
    triggers: list[Trigger] = [latent()]
    for family in INPUT_FAMILIES:
        triggers.append(family_named(family).bank(1, classifier, x, torch.Generator()).export(0))
    pictures = {trigger_picture(trigger) for trigger in triggers}
    assert len(pictures) == len(triggers)
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_latent_files_without_a_site(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "t.npz", kind="latent", family="latent early", shift=np.ones(3))
    with pytest.raises(UndoorError, match="expected an entry site"):
        load_trigger(tmp_path / "t.npz", shape=(3, 6, 6), bounds=(0, 1))
