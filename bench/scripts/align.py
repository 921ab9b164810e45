"""Time the fits side by side, and what each of them reaches.

    python bench/scripts/align.py MODEL TRIGGER TARGET DATA OUT.json [--per-class 10] [--repeats 7]
        [--fpr F]

MODEL: a model.toml or its folder; TRIGGER: its true trigger (an oracle: all fits get the same);
DATA: an .npz with x_test, y_test. One process, the same images for all. `onepass` and the bare
forward pass over [clean; triggered] are timed in turn and the median of the ratios is reported;
`paper` and `reference` take minutes and run once. All fits correct all layers per channel, as the
reference does; `onepass, chosen` is the plan that cross-validation picks, whose search is timed
on its own line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import machine, oracle_bench, split

import undoor
from undoor.align.fit import Plan, fit_corrections
from undoor.align.plans import candidate_plans
from undoor.align.select import calibrate_guard, choose_plan
from undoor.align.transform import Correction
from undoor.evaluate import stamp_set
from undoor.files import write_atomically
from undoor.guard import Guarded
from undoor.sites import find_sites
from undoor.triggers import load_trigger
from undoor.vocabulary import DEFAULT_FPR, RULES


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("trigger", type=Path)
    parser.add_argument("target", type=int)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--fpr", type=float, default=DEFAULT_FPR)
    options = parser.parse_args()
    # Its architecture is that of bench/scripts/resnet18.py.
    classifier = undoor.load(options.model, trust_code=True)
    trigger = load_trigger(options.trigger, shape=classifier.input_shape, bounds=classifier.bounds)
    clean, test = split(options.data, options.per_class, seed=0)
    test = test.for_classifier(classifier)
    bench = oracle_bench(classifier, clean, trigger, options.target, options.fpr)
    network = bench.classifier
    plans = candidate_plans(find_sites(network))
    x = bench.x[bench.sources]
    both = torch.cat([x, trigger(x)])
    seconds, ratios, corrections = time_onepass(
        network, x, trigger(x), both, plans, options.repeats
    )
    seconds["choice"], (chosen, _, _) = timed(lambda: choose_plan(bench, plans, "onepass"))
    corrections["onepass, chosen"] = fit_corrections(network, x, trigger(x), plans[chosen])

    def by_fit(fit: str) -> dict[str, Correction]:
        return fit_corrections(network, x, trigger(x), plans["per channel"], fit=fit)

    for fit in ("paper", "reference"):
        seconds[fit], corrections[fit] = timed(partial(by_fit, fit))
    triggered = stamp_set(test, trigger, options.target)
    reached = {}
    for name, fitted in corrections.items():
        threshold = calibrate_guard(bench, fitted).threshold
        for rule in RULES:
            guarded = Guarded(
                classifier, {options.target: fitted}, {options.target: threshold}, rule=rule
            )
            result = undoor.evaluate(classifier, guarded, test, triggered, options.target)
            reached[f"{name}, {rule} rule"] = {
                key: rate.value for key, rate in result.after.items()
            }
            before = {key: rate.value for key, rate in result.before.items()}
    report = {
        "command": " ".join(
            ["python", "bench/scripts/align.py", options.model.name, *sys.argv[3:4]]
        ),
        "model": options.model.name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "images": len(x),
        "machine": machine(),
        "seconds": seconds,
        "onepass_over_bare_forward": statistics.median(ratios),
        "reference_over_onepass": seconds["reference"] / seconds["onepass"],
        "reference_over_choice_and_onepass": seconds["reference"]
        / (seconds["choice"] + seconds["onepass"]),
        "chosen": chosen,
        "before": before,
        "after": reached,
    }
    text = json.dumps(report, indent=1) + "\n"
    write_atomically(options.out, lambda path: path.write_text(text))
    print(text)


def time_onepass(
    network: undoor.Classifier,
    clean: torch.Tensor,
    triggered: torch.Tensor,
    both: torch.Tensor,
    plans: dict[str, Plan],
    repeats: int,
) -> tuple[dict[str, float], list[float], dict[str, Any]]:
    """Bare forward pass and fit in turn; the first round warms up."""
    bare, fits, finest = [], [], []
    per_channel = plans["per channel"]
    fine_plan = plans[[name for name in plans if name.startswith("per position")][-1]]
    for _ in range(repeats + 1):
        with torch.no_grad():
            bare.append(timed(lambda: network(both))[0])
        duration, corrections = timed(
            lambda: fit_corrections(network, clean, triggered, per_channel)
        )
        fits.append(duration)
        finest.append(timed(lambda: fit_corrections(network, clean, triggered, fine_plan))[0])
    seconds = {
        "bare forward": statistics.median(bare[1:]),
        "onepass": statistics.median(fits[1:]),
        "onepass, finest plan": statistics.median(finest[1:]),
    }
    ratios = [fit / forward for fit, forward in zip(fits[1:], bare[1:], strict=True)]
    return seconds, ratios, {"onepass": corrections}


if __name__ == "__main__":
    main()
