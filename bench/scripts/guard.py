"""What the guard costs on clean images, against the bare model in the same memory layout.

    python bench/scripts/guard.py MODEL DATA OUT.json [--target 0] [--repeats 15]

The two run in turn on the same batches of clean images; the median of the ratios is reported. The
corrections stand at every site per position, the dearest plan; their values do not matter here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from common import machine, split

import undoor
from undoor.align.fit import fit_corrections
from undoor.align.plans import candidate_plans
from undoor.files import write_atomically
from undoor.guard import Guarded
from undoor.sites import find_sites


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--target", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    classifier = undoor.load(options.model, trust_code=True)
    clean, test = (part.for_classifier(classifier) for part in split(options.data, 10, seed=0))
    plan = candidate_plans(find_sites(classifier))["the same and input"]
    corrections = fit_corrections(classifier, clean.images, clean.images, plan)
    bare = classifier.fast_copy()
    guarded = Guarded(classifier, {options.target: corrections}, {options.target: 1.0})
    batches = test.images[:1000].split(250)
    answered = float((bare.predict(test.images[:1000]) == options.target).float().mean())
    ratios = []
    with torch.no_grad():
        for _ in range(options.repeats + 1):
            started = time.perf_counter()
            for batch in batches:
                bare(batch)
            middle = time.perf_counter()
            for batch in batches:
                guarded(batch)
            ratios.append((time.perf_counter() - middle) / (middle - started))
    report = {
        "model": options.model.name,
        "classes": classifier.num_classes,
        "clean_answered_target": answered,
        "guarded_over_bare": statistics.median(ratios[1:]),
        "quartiles": statistics.quantiles(ratios[1:]),
        "repeats": options.repeats,
        "machine": machine(),
    }
    text = json.dumps(report, indent=1) + "\n"
    write_atomically(options.out, lambda path: path.write_text(text))
    print(text)


if __name__ == "__main__":
    main()
