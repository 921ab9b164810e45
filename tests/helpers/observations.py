"""What scans of models say about natural triggers, without scanning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from helpers.family_names import BY_SOURCE, SHARED
from undoor.calibrate.observation import Observation
from undoor.scan.report import ClassEvidence

NATURAL = (8.0, 9.0, 10.0, 9.0, None, 9.5)
Sizes = Sequence[float | None]


def model(
    *,
    name: str = "m",
    sizes: Sizes = NATURAL,
    targets: tuple[int, ...] = (2,),
    sources: tuple[tuple[int, ...], ...] = (),
    by_source: Sizes = (),
    shared: float | None = None,
    margins: Sequence[float] = (),
) -> Observation:
    """Of a model with a backdoor, which without `sources` moves all. by_source, shared : sizes in
    those families, which are searched where there are any of the former."""
    evidence = [_item("patch", size, target=t) for t, size in enumerate(sizes)]
    if by_source:
        evidence += [_item(BY_SOURCE, size, source=k) for k, size in enumerate(by_source)]
        evidence.append(_item(SHARED, shared))
    evidence += [
        _item("patch margin", 36.0, target=t, margin=margin) for t, margin in enumerate(margins)
    ]
    return Observation(
        name=name,
        classes=len(sizes),
        shape=(3, 32, 32),
        evidence=tuple(evidence),
        targets=targets,
        sources=sources or tuple(() for _ in targets),
    )


def clean_model(
    *,
    name: str = "c",
    sizes: Sizes = NATURAL,
    by_source: Sizes = (),
    shared: float | None = None,
    margins: Sequence[float] = (),
) -> Observation:
    return model(
        name=name, sizes=sizes, targets=(), by_source=by_source, shared=shared, margins=margins
    )


def drawn(seed: int, classes: int = 10) -> Observation:
    """A clean model with natural sizes and margins."""
    generator = np.random.default_rng(seed)
    sizes = np.exp(generator.normal(2, 0.3, classes)).tolist()
    margins = generator.normal(-2, 0.7, classes).tolist()
    return clean_model(name=f"clean_{seed}", sizes=sizes, margins=margins)


def margins_of(made: Observation) -> list[float]:
    return [item.margin for item in made.evidence if item.margin is not None]


def _item(
    family: str,
    size: float | None,
    *,
    target: int | None = None,
    source: int | None = None,
    margin: float | None = None,
) -> ClassEvidence:
    return ClassEvidence(target, family, size, 1.0, 0.5, source=source, margin=margin)
