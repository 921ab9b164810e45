"""Learn what natural triggers look like from scans of models whose backdoors are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import stats

from undoor.bench.records import Record
from undoor.scan.calibration import Null
from undoor.scan.families import pixel_scale
from undoor.scan.statistics import NULL_CLASSES, scores

# A spread fitted on some tens of models is not trusted below this.
LEAST_SCALE = 0.12
# Beyond this multiple of the natural size, how large a trigger is says nothing.
CEILING = 3.0


def fit_nulls(records: Iterable[Record]) -> dict[str, Null]:
    """The null of every family from the natural triggers of these models: all classes of clean
    models, and of backdoored ones those that are no target."""
    natural: dict[str, list[list[float | None]]] = {}
    for record in records:
        for family, sizes in _sizes(record).items():
            natural.setdefault(family, []).append(
                [size for target, size in sizes.items() if target not in record["targets"]]
            )
    return {
        family: fit_null(models)
        for family, models in natural.items()
        if any(size is not None for sizes in models for size in sizes)
    }


def fit_null(models: Sequence[Sequence[float | None]]) -> Null:
    """The null of one family, from the sizes of each model's classes (None: not reached).

    >>> fit_null([[4.0, 9.0, 8.0, None]] * 3).natural
    4.0
    """
    least = [min((s for s in sizes if s is not None), default=math.inf) for sizes in models]
    reached = [size for size in least if math.isfinite(size)]
    middle = float(np.median(reached))
    first = Null(natural=middle, ceiling=CEILING * middle, location=0.0, scale=1.0)
    highest = [math.log(scores(sizes, first).max()) for sizes in models]
    # Models that all agree have no spread to fit.
    spread = np.ptp(highest) > LEAST_SCALE
    location, scale = stats.gumbel_r.fit(highest) if spread else (np.mean(highest), LEAST_SCALE)
    scale = max(float(scale), LEAST_SCALE)
    # The highest score of fewer classes is lower: brought to the usual number.
    shift = np.mean([scale * math.log(len(sizes) / NULL_CLASSES) for sizes in models])
    return Null(middle, CEILING * middle, float(location - shift), scale)


def _sizes(record: Record) -> dict[str, dict[int, float | None]]:
    """By family and class, at 3 x 32 x 32 pixels."""
    out: dict[str, dict[int, float | None]] = {}
    shape = tuple(record["input_shape"])
    for item in record["scan"]["evidence"]:
        size = item["size"]
        scaled = None if size is None else size / pixel_scale(item["family"], shape)
        out.setdefault(item["family"], {})[item["target"]] = scaled
    return out


def as_toml(nulls: Mapping[str, Null], models: Sequence[str]) -> str:
    """The contents of a calibration file."""
    text = (
        "# Natural triggers, at 3 x 32 x 32 pixels and ten classes: see Null in calibration.py.\n"
        "# Made by `undoor bench calibrate`; of no use as evidence about these models.\n"
        "models = [\n" + "".join(f'    "{name}",\n' for name in models) + "]\n"
    )
    for family, null in nulls.items():
        text += f'\n[null."{family}"]\n'
        text += "".join(f"{name} = {value:.4g}\n" for name, value in vars(null).items())
    return text
