"""How many sample passes the searches of a scan take at most, known before any of them."""

from __future__ import annotations

from collections.abc import Sequence

from undoor.classifier import Classifier
from undoor.families.family import Family
from undoor.families.registry import family_named
from undoor.inversion.cell_search import ROWS, tried_cells
from undoor.inversion.followed import FEW_CLASSES, number_followed
from undoor.inversion.patch_starts import FAR, NEAR, square_passes
from undoor.inversion.token_search import tried_tokens
from undoor.inversion.wave_starts import IMAGES

# What `undoor.scrutiny.scrutinise` takes at most.
SCRUTINY = 1500


def passes_of(
    classifier: Classifier,
    families: Sequence[str],
    images: int,
    *,
    targets: int | None = None,
    sources: int | None = None,
) -> float:
    """Estimate the sample passes of the first searches of these families, where none ends early.

    Parameters
    ----------
    classifier
        The model that is scanned.
    families
        Names, of any kind of `undoor.families.family.Moves`.
    images
        How many clean images there are.
    targets, sources
        How many classes triggers are searched towards, and how many have images; all where none
        are given.

    Returns
    -------
    float
        Sample passes, without the second look at the classes that stand out.
    """
    cost = {"target": _targets, "source": _sources, "shared": _shared}
    classes = {
        "target": classifier.num_classes if targets is None else targets,
        "source": classifier.num_classes if sources is None else sources,
        "shared": 1,
    }
    return sum(
        cost[family.moves](classifier, family, images, classes[family.moves])
        for family in map(family_named, families)
    )


def _targets(classifier: Classifier, family: Family, images: int, classes: int) -> float:
    shape = classifier.input_shape
    probes = 0 if family.probes is None else len(family.probes(shape, classifier.bounds))
    probing = probes * min(images, IMAGES) / 2
    if family.cells and family.at_size:
        count = len(family.cells(classifier, classifier.examples(images)))
        each = tried_cells(count, round(family.at_size.size))
        return classes * (each * ROWS + family.at_size.tried) / 2
    if family.tokens and family.at_size and classifier.tokenizer:
        tried = tried_tokens(len(classifier.tokenizer.usable), round(family.at_size.size))
        return classes * (tried + family.at_size.tried) / 2
    if plan := family.plan(classifier.task):
        many = classes > (number_followed(classes) if classifier.task.at_one_size else FEW_CLASSES)
        trial = plan.trial().passes(classes) if many and not plan.trials else 0.0
        return trial + plan.passes(number_followed(classes)) + (probing if plan.probes else 0.0)
    if places := family.places_in(classifier.space):
        few = classes <= FEW_CLASSES
        squares = square_passes(classifier, places, NEAR if few else FAR, classes)
        starts = places.keep + places.effort.starts
        return squares + places.effort.schedule.passes(starts, number_followed(classes))
    return _search(family, classes, extra=min(1, probes)) + probing


def _sources(_classifier: Classifier, family: Family, images: int, classes: int) -> float:
    return _search(family, classes, extra=0) + images / 2


def _shared(classifier: Classifier, family: Family, images: int, _classes: int) -> float:
    places = family.places_in(classifier.space)
    effort = places.effort if places else family.effort
    starts = effort.starts + (places.keep if places else 0)
    squares = square_passes(classifier, places, NEAR, 1) if places else 0.0
    return squares + effort.schedule.passes(starts, 1) + images / 2


def _search(family: Family, classes: int, *, extra: int) -> float:
    """Return the passes of `undoor.inversion.followed`.

    Parameters
    ----------
    extra
        Starts per class beside those from noise.
    """
    effort = family.effort
    if classes <= FEW_CLASSES:
        return effort.schedule.passes(effort.starts + extra, classes)
    first = effort.trial().passes(1 + extra, classes)
    return first + effort.rest().passes(1, number_followed(classes))
