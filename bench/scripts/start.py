"""How long `import undoor` and `undoor --help` take, beside `python -c pass`.

    python bench/scripts/start.py OUT.json [--repeats 30]

The three run in turn, so that whatever else the machine does meets all of them; the median of the
seconds and of the ratios to `python -c pass` is reported.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import machine

from undoor.files import write_json

COMMANDS = {
    "python -c pass": "pass",
    "python -c 'import undoor'": "import undoor",
    "undoor --help": "import sys; sys.argv[1:] = ['--help']; from undoor.cli import main; main()",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.repeats + 1):
        for name, code in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    bare, *_ = seconds.values()
    measured = {
        name: {
            "seconds": statistics.median(own[1:]),
            "ratio": statistics.median(a / b for a, b in zip(own[1:], bare[1:], strict=True)),
        }
        for name, own in seconds.items()
    }
    write_json(
        options.out, {"machine": machine(), "repeats": options.repeats, "measured": measured}
    )
    print(options.out.read_text())


if __name__ == "__main__":
    main()
