"""How a calibration is shown in the terminal."""

from __future__ import annotations

from rich.table import Table

from undoor.families.calibration import Calibration


def calibration_table(calibration: Calibration) -> Table:
    """Return what natural triggers look like, one row per family."""
    rows = Table("family", "natural", "location", "scale", "weight")
    for family, null in calibration.nulls.items():
        fitted = (f"{value:.2f}" for value in (null.location, null.scale, null.weight))
        rows.add_row(family, f"{null.natural:.3g}", *fitted)
    agreed = calibration.agreement
    fitted = (f"{value:.2f}" for value in (agreed.location, agreed.scale, agreed.weight))
    rows.add_row("agreement", "", *fitted)
    return rows
