"""How long the gradient of an EfficientNet-Lite0 takes, with quick gradients and without.

    python bench/scripts/strided_depthwise.py pkg/*/models/*.pth OUT.json

At 224 pixels, 14 at a time, forward and backward to the input, as in a search; taken in turns in
one process. Processor seconds, of which the smallest of five counts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from common import machine

from undoor.classifier import Classifier
from undoor.device import CPU, autocast
from undoor.files import write_json
from undoor_bench.real.training import MEAN, SIDE, STD
from undoor_bench.real.transfer import pretrained

BATCH, TURNS = 14, 5


def main(weights: Path, out: Path) -> None:
    """Write the record."""
    shape = (3, SIDE, SIDE)
    classifier = Classifier(
        pretrained(weights, 10), input_shape=shape, bounds=(0, 1), mean=MEAN, std=STD
    ).fast_copy()
    x = torch.rand(BATCH, *shape).contiguous(memory_format=torch.channels_last)
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(1 + TURNS):
        for quick, seconds in taken.items():
            classifier.quick = quick
            leaf = x.clone().requires_grad_(True)
            started = time.process_time()
            with autocast(CPU):
                logits = classifier(leaf)
            torch.autograd.grad(logits.float().sum(), leaf)
            seconds.append((time.process_time() - started) / BATCH)
    before, after = (round(1000 * min(taken[key][1:]), 2) for key in (False, True))
    found = {"ms_per_pass": before, "ms_per_pass_quick": after, "ratio": round(before / after, 2)}
    print(found)
    write_json(out, {"machine": machine(), "network": "EfficientNet-Lite0", **found})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
