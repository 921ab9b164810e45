#!/usr/bin/env python3
"""Fuzz one of our parsers, guided by coverage (atheris): run.py PARSER SECONDS|keep.

New inputs go to build/fuzz/PARSER; the seeds are those of tests/corpus and the hostile files of the
tests. A crash leaves its input in build/fuzz and ends with another code than 0. `keep` copies the
smallest inputs that together reach what all of them reach into tests/corpus.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["undoor", "pickletools", "zipfile", "tomllib", "tarfile"]):
    import undoor.load.check
    import undoor.load.spec  # noqa: F401
    from helpers.hostile.parsers import PARSERS, survive
    from helpers.hostile.seeds import seeds

LARGEST_INPUT = 4096
# The corpus lies in the repository.
LARGEST_KEPT = 1024


def main(name: str, *given: str) -> None:
    if name not in PARSERS:
        sys.exit(f"expected one of {', '.join(PARSERS)}, got {name!r}")
    atheris.Setup([sys.argv[0], *given], lambda data: survive(name, data) and None)
    atheris.Fuzz()


def options(name: str, task: str) -> list[str]:
    """What libFuzzer is told for this many seconds, or to keep what was found."""
    found, first = (ROOT / "build" / "fuzz" / part for part in (name, f"{name}_seeds"))
    kept = ROOT / "tests" / "corpus" / name
    for folder in (found, first, kept):
        folder.mkdir(parents=True, exist_ok=True)
    told = ["-rss_limit_mb=2048", "-timeout=60", f"-artifact_prefix={found.parent}/crash_{name}_"]
    if task == "keep":
        return [*told, "-merge=1", f"-max_len={LARGEST_KEPT}", str(kept), str(found)]
    for number, data in enumerate(seeds(name)):
        (first / str(number)).write_bytes(data)
    limits = [f"-max_total_time={task}", f"-max_len={LARGEST_INPUT}", "-len_control=0"]
    return [*told, *limits, str(found), str(first)]


if __name__ == "__main__":
    # To keep, libFuzzer starts this file again, with options of its own and no interpreter.
    if len(sys.argv) == 3 and not sys.argv[1].startswith("-"):
        name, task = sys.argv[1:]
        os.environ["PARSER"] = name
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        main(name, *(options(name, task) if name in PARSERS else []))
    else:
        main(os.environ.get("PARSER", ""), *sys.argv[1:])
