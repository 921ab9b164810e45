"""Kill a scan, or a repair, at random moments, let the next call go on, and compare the results.

python bench/scripts/kills.py bench/results/kills.json [COUNT] [SEED] [scan|repair]
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from common import machine

from undoor.files import write_json

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from helpers.killing import CLASSES, PER_CLASS, killed


def main(out: str, count: str = "50", seed: str = "0", name: str = "scan") -> None:
    with tempfile.TemporaryDirectory() as folder:
        kills = killed(Path(folder), int(count), int(seed), name)
    summary = {
        "command": f"python bench/scripts/kills.py {out} {count} {seed} {name}",
        "machine": machine(),
        "model": f"toy network, {CLASSES} classes, {PER_CLASS} images each (helpers/killing.py)",
        "compared": "all files of the result; seconds left out",
        "kills": len(kills),
        "at_work": sum(kill.at_work for kill in kills),
        "in_a_search": sum(kill.drafts > 0 for kill in kills),
        "identical": sum(kill.identical for kill in kills),
        "each": [asdict(kill) for kill in kills],
    }
    write_json(Path(out), summary)
    print({key: summary[key] for key in ("kills", "at_work", "in_a_search", "identical")})


if __name__ == "__main__":
    main(*sys.argv[1:])
