"""`undoor bench`: models whose backdoor is known, and what is measured on them."""

from __future__ import annotations

from undoor.cli.bench import calibrate, cost, curve, detect, mitigate, seeds, theory, zoo

__all__ = ["calibrate", "cost", "curve", "detect", "mitigate", "seeds", "theory", "zoo"]
