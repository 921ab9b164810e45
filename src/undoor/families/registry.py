"""The trigger families of a scan: those of undoor, and those that installed packages add."""

from __future__ import annotations

from functools import cache

from undoor.classifier import Classifier
from undoor.extensions import by_name, require_named
from undoor.families.additive import ADDITIVE, ADDITIVE_MARGIN
from undoor.families.band import BAND, BAND_MARGIN
from undoor.families.bending import BENDING, BENDING_MARGIN
from undoor.families.blend import BLEND, BLEND_MARGIN
from undoor.families.calibration import Calibration, calibration_for
from undoor.families.cells import CELLS, ONE_CELL, THREE_CELLS, TWO_CELLS
from undoor.families.clip import CLIP, CLIP_MARGIN
from undoor.families.cluster import CLUSTER, CLUSTER_MARGIN
from undoor.families.drift import DRIFT, DRIFT_MARGIN
from undoor.families.family import Family, Moves
from undoor.families.frequency import FREQUENCY, FREQUENCY_MARGIN
from undoor.families.generator import GENERATOR
from undoor.families.latent import LATENT
from undoor.families.null import Null
from undoor.families.opaque_patch import OPAQUE_PATCH
from undoor.families.overlay import OVERLAY, OVERLAY_MARGIN
from undoor.families.patch import PATCH
from undoor.families.patch_by_source import PATCH_BY_SOURCE
from undoor.families.patch_margin import PATCH_MARGIN
from undoor.families.response import RESPONSE, RESPONSE_MARGIN
from undoor.families.shared_patch import SHARED_PATCH
from undoor.families.spike import SPIKE, SPIKE_MARGIN
from undoor.families.tokens import INSERTED, ONE_TOKEN, THREE_TOKENS
from undoor.families.tone import TONE, TONE_MARGIN
from undoor.families.turn import TURN, TURN_MARGIN
from undoor.families.warp import WARP
from undoor.vocabulary import FAMILY_GROUP, MANY_CLASSES

# From the most to the least local; those by the source come last. Scans go in this order.
REGISTRY: tuple[Family, ...] = (
    PATCH_MARGIN,
    ADDITIVE_MARGIN,
    BLEND_MARGIN,
    FREQUENCY_MARGIN,
    TONE_MARGIN,
    PATCH,
    OPAQUE_PATCH,
    ADDITIVE,
    BLEND,
    FREQUENCY,
    WARP,
    TONE,
    GENERATOR,
    *LATENT,
    PATCH_BY_SOURCE,
    SHARED_PATCH,
    # Those of rows.
    ONE_CELL,
    TWO_CELLS,
    THREE_CELLS,
    CELLS,
    # Those of signals.
    SPIKE_MARGIN,
    CLIP_MARGIN,
    BAND_MARGIN,
    OVERLAY_MARGIN,
    RESPONSE_MARGIN,
    SPIKE,
    CLIP,
    BAND,
    OVERLAY,
    RESPONSE,
    # Those of texts.
    ONE_TOKEN,
    THREE_TOKENS,
    INSERTED,
    # Those of points.
    CLUSTER_MARGIN,
    DRIFT_MARGIN,
    TURN_MARGIN,
    BENDING_MARGIN,
    CLUSTER,
    DRIFT,
    TURN,
    BENDING,
)


def families() -> tuple[Family, ...]:
    """Return all trigger families: `REGISTRY`, then those of other packages.

    A package adds one through an entry point of the group ``undoor.families`` that names a
    `undoor.families.family.Family`.

    Raises
    ------
    UndoorError
        An entry point cannot be loaded, is no family, or has the name of another one.
    """
    return tuple(_by_name().values())


def family_named(name: str) -> Family:
    """Return the family of this name.

    Raises
    ------
    UndoorError
        There is none.
    """
    return require_named(_by_name(), name, "a trigger family")


def find_family(name: str) -> Family | None:
    """Return the family of this name; None where there is none, as for a trigger that was given."""
    return _by_name().get(name)


def unit_of(name: str) -> str:
    """Return the unit of a family's sizes, for reports."""
    found = find_family(name)
    return found.unit if found else "in units of a family that is not installed"


def judged_beside(name: str) -> str | None:
    """Return the family beside whose sizes the lone trigger of a "shared" family is judged."""
    beside = family_named(name).beside
    return None if beside is None else beside.name


def families_for(classifier: Classifier, moves: Moves = "target") -> tuple[str, ...]:
    """Return the families that are searched in a network, in the order of the search.

    Parameters
    ----------
    classifier
        The model.
    moves
        Which of them: those that try every class as a target, or by the source, or shared.
    """
    return tuple(
        family.name
        for family in families()
        if family.moves == moves
        and family.searched_in(classifier.space, classifier.task)
        and family.why_missing(classifier) is None
    )


def nulls(calibration: Calibration) -> dict[str, Null]:
    """Return the nulls by family; families without a fitted one are left out.

    Those of the calibration, and where it holds for what undoor's own one for many classes holds
    for, those that families of other packages bring.
    """
    usual = calibration.scope == calibration_for(MANY_CLASSES).scope
    known = {f.name: calibration.nulls.get(f.name, f.null if usual else None) for f in families()}
    return {name: null for name, null in known.items() if null is not None}


@cache
def _by_name() -> dict[str, Family]:
    return by_name(FAMILY_GROUP, Family, REGISTRY, "trigger families")
