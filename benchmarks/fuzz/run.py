"""Fuzz one of our parsers, guided by coverage (atheris): run.py PARSER SECONDS [CORPUS].

New inputs are kept in CORPUS (build/fuzz/PARSER unless told); the seeds are those of tests/corpus
and the hostile files of the tests. A crash leaves its input in build/fuzz and ends with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["undoor", "pickletools", "zipfile", "tomllib", "tarfile"]):
    from hostile.parsers import PARSERS, survive
    from hostile.seeds import seeds

    import undoor.load.check
    import undoor.load.spec  # noqa: F401

LARGEST_INPUT = 4096


def main(name: str, seconds: str, corpus: str = "") -> None:
    if name not in PARSERS:
        sys.exit(f"expected one of {', '.join(PARSERS)}, got {name!r}")
    kept = Path(corpus) if corpus else ROOT / "build" / "fuzz" / name
    kept.mkdir(parents=True, exist_ok=True)
    first = ROOT / "build" / "fuzz" / f"{name}_seeds"
    first.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (first / str(number)).write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST_INPUT}",
        "-rss_limit_mb=2048",
        "-timeout=60",
        f"-artifact_prefix={kept.parent}/crash_{name}_",
        "-len_control=0",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    kept_before = ROOT / "tests" / "corpus" / name
    folders = [str(kept), str(first), *([str(kept_before)] if kept_before.is_dir() else [])]
    atheris.Setup([sys.argv[0], *options, *folders], lambda data: survive(name, data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
