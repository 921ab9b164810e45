"""Records of what scans and mask inversions cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from undoor_bench.cost.extrapolate import total
from undoor_bench.cost.mask_inversion import Inversion, Stop


def record(
    model: str = "m", classes: int = 3, passes: int = 100, stopped: Stop = "early stop"
) -> dict[str, Any]:
    """Three classes of 400 passes each; the last of them is the true and the named target."""
    runs = [Inversion(t, 9.0 + t, True, 4, 400, 8.0, stopped) for t in range(3)]
    return {
        "model": model,
        "attack": "badnets",
        "data": "mnist",
        "network": "VGG",
        "classes": classes,
        "took": True,
        "per_class": 30,
        "targets": [2],
        "scan": {
            "passes": passes,
            "seconds": 5.0,
            "verdict": "backdoored",
            "targets": [{"target": 2}],
        },
        "mask_inversion": {"runs": [], "total": asdict(total(runs, classes, 1000))},
    }
