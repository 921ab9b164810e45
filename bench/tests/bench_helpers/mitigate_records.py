"""Records of what a method did to a backdoor."""

from __future__ import annotations

from typing import Any

from undoor_bench.mitigate.methods import method
from undoor_bench.mitigate.table import (
    RATES,
)


def record(
    attack: str = "badnets",
    name: str = "onepass",
    *,
    sia: float = 0.8,
    acc: float = 0.9,
    model: str = "m",
    images: int = 100,
    failed: str | None = None,
    missed: tuple[int, ...] = (),
) -> dict[str, Any]:
    item = method(name)
    rates: dict[str, Any] = {"acc": 0.95, "asr": 1.0, "sia": 0.0, "own_rate_t": 0.01}
    flags = dict.fromkeys(RATES, 0.5) if item.kind == "ours" else dict.fromkeys(RATES)
    after = flags | {"acc": acc, "asr": 0.1, "sia": sia, "sia_interval": [0.7, 0.9]}
    scan = {"verdict": "backdoored", "targets": [3], "missed": list(missed), "seconds": 60.0}
    return {
        "model": model,
        "attack": attack,
        "data": "mnist",
        "network": "VGG",
        "targets": [3],
        "method": name,
        "kind": item.kind,
        "setting": {"amount": f"{images // 10} a class", "image_seed": 0, "scan_seed": 0},
        "drawn": {"images": images, "least": images // 10, "most": images // 10},
        "tested": {"clean": 3000, "triggered": 2700},
        "before": rates,
        "after": None if failed else after,
        "scan": scan if item.scans else None,
        "seconds": None if failed else 5.0,
        "failed": failed,
        "details": {"plans": {"3": "per channel"}},
    }
