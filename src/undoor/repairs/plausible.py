"""Numbers that a repair may hold: what a fit can have made, and a guard can serve.

The seal of a file shows damage; whoever changes a file on purpose seals it again. These bounds
show the crude kinds of it: corrections that overflow or blank the network, and a threshold that
lies above every score, under which nothing is ever flagged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from undoor.align.guard_threshold import TOWARDS_TRIGGERED, GuardThreshold, normal_limit
from undoor.align.replaced_cells import ReplacedCells
from undoor.align.transform import MIXING, UNITS, Correction
from undoor.errors import UndoorError

# Scales of the fits are ratios of spreads, at most 2 as a rule; never 0, which blanks a unit.
MIN_SCALE = 1e-6
MAX_SCALE = 1e6
# Activations and logits beyond this are those of no network that works; their squares and sums
# still fit into float32.
MAX_NUMBER = 1e12
# Rounding of float32, in which scores are computed.
ROUNDING = 1e-4


def require_plausible(
    target: int, corrections: Mapping[str, Correction], calibration: GuardThreshold
) -> None:
    """Refuse numbers of one target's repair that no fit makes.

    Raises
    ------
    UndoorError
        A correction or the threshold is out of range, or the threshold does not follow from the
        scores that it was set on.
    """
    for site, correction in corrections.items():
        _require_correction(f"the correction {target}/{site}", correction)
    _require_threshold(f"the threshold of target {target}", calibration)


def require_plausible_cells(target: int, cells: ReplacedCells, shape: Sequence[int]) -> None:
    """Refuse ranges of cells in which no row can lie, or columns that rows do not have.

    Raises
    ------
    UndoorError
        They are no cells of rows of this shape.
    """
    columns, count = cells.columns, len(cells.columns.flatten())
    sizes = {tuple(part.shape) for part in (columns, cells.low, cells.high)}
    whole = columns.dtype == torch.int64 and sizes == {(count,)} and 0 < count <= shape[0]
    drawn = cells.values
    if (
        not whole
        or tuple(shape) != (shape[0],)
        or drawn.shape != (*drawn.shape[:1], count)
        or not len(drawn)
    ):
        raise UndoorError(f"the cells of target {target} do not fit rows of {shape[0]} columns")
    distinct = len(columns.unique()) == count and int(columns.min()) >= 0
    if not distinct or int(columns.max()) >= shape[0]:
        raise UndoorError(f"the cells of target {target} name a column that rows do not have")
    # Written so that what is no number is refused.
    ordered = bool((cells.low <= cells.high).all()) and bool((cells.high >= 0).all())
    if (
        not ordered
        or not bool((cells.low <= 1).all())
        or not bool(((drawn >= 0) & (drawn <= 1)).all())
    ):
        raise UndoorError(f"no row can have the cells of target {target}: nothing would be flagged")


def _require_correction(name: str, h: Correction) -> None:
    _require_shapes(name, h)
    for part, value in h.parts.items():
        finite = value[torch.isfinite(value)]
        if part not in ("low", "high") and len(finite.flatten()) < value.numel():
            raise UndoorError(f"{name} is no correction: its {part} is not finite")
        largest = float(finite.abs().max()) if finite.numel() else 0.0
        if largest > MAX_NUMBER:
            raise UndoorError(
                f"{name}: expected {part} of at most {MAX_NUMBER:g}, got {largest:.3g}; no fit "
                "makes such a number, and with it the guard judges nothing"
            )
    # Bounds may be infinite; NaN is neither below nor above anything.
    if not bool((h.low <= h.high).all()):
        raise UndoorError(f"{name} is no correction: its bounds are not in order")
    low, high = float(h.scale.min()), float(h.scale.max())
    if not MIN_SCALE <= low <= high <= MAX_SCALE:
        raise UndoorError(
            f"{name}: expected scales from {MIN_SCALE:g} to {MAX_SCALE:g}, got {low:.3g} to "
            f"{high:.3g}; it blanks or blows up what it should correct"
        )
    if bool((h.low == h.high).all()):
        raise UndoorError(f"{name} gives every input the same numbers: its bounds leave no room")


def _require_shapes(name: str, h: Correction) -> None:
    shapes = {part: tuple(value.shape) for part, value in h.parts.items()}
    units = [shapes[part] for part in UNITS]
    try:
        together = torch.broadcast_shapes(*units)
    except RuntimeError:
        together = ()
    flat = [part for part in MIXING if len(shapes.get(part, (1, 1))) != 2]
    ragged = any(len(shape) != len(together) for shape in units)
    if flat or ragged or not together or 0 in together:
        sizes = ", ".join(f"{part} {list(shape)}" for part, shape in shapes.items())
        raise UndoorError(f"{name} is no correction: expected parts of one shape, got {sizes}")


def _require_threshold(name: str, calibration: GuardThreshold) -> None:
    threshold = calibration.threshold
    if not math.isfinite(threshold) or abs(threshold) > MAX_NUMBER:
        raise UndoorError(
            f"{name}: expected a number of at most {MAX_NUMBER:g}, got {threshold:.3g}; "
            "above it nothing would ever be flagged"
        )
    if calibration.clean is None:
        if calibration.triggered is not None and threshold != 0:
            raise UndoorError(
                f"{name}: expected 0, since it was set on no scores, got {threshold:.3g}"
            )
        return
    low, high = _range(calibration)
    slack = ROUNDING * max(1.0, abs(low), abs(high))
    if not low - slack <= threshold <= high + slack:
        raise UndoorError(
            f"{name}: {threshold:.3g} does not follow from the scores it was set on, clean ones of "
            f"{calibration.clean.to_text()}: expected {low:.3g} to {high:.3g}"
        )


def _range(calibration: GuardThreshold) -> tuple[float, float]:
    """Return the range that `undoor.align.guard_threshold.place_threshold` puts a threshold in."""
    clean, triggered = calibration.clean, calibration.triggered
    assert clean is not None
    tail = max(clean.max, normal_limit(clean.mean, clean.std, clean.n, calibration.wanted))
    if triggered is None:
        return clean.min, tail
    return clean.min, max(tail, tail + TOWARDS_TRIGGERED * (triggered.q05 - tail))
