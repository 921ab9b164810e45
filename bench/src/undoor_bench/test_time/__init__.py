"""Rivals at test time: detectors that score inputs, built from a model and clean images.

Each is written from its paper. What they score is not comparable between them; thresholds at the
same false-positive rate are (`threshold_at`).
"""

from __future__ import annotations

from undoor_bench.test_time.detector import Detector, Score
from undoor_bench.test_time.ibd_psc import ibd_psc
from undoor_bench.test_time.scale_up import scale_up, scale_up_data_free
from undoor_bench.test_time.strip import strip
from undoor_bench.test_time.threshold import threshold_at

DETECTORS: dict[str, Detector] = {
    "strip": strip,
    "scale_up": scale_up,
    "scale_up_data_free": scale_up_data_free,
    "ibd_psc": ibd_psc,
}

__all__ = [
    "DETECTORS",
    "Detector",
    "Score",
    "ibd_psc",
    "scale_up",
    "scale_up_data_free",
    "strip",
    "threshold_at",
]
