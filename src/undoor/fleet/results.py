"""The results of a fleet in its folder: one sealed folder for each model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.files import sha256_of, write_json
from undoor.fleet.entry import FleetEntry, Problem, read_json, repaired, scanned
from undoor.fleet.job import Job, Value
from undoor.fleet.worker import words_of
from undoor.vocabulary import BUDGET, REPAIR_DESCRIPTION, SCAN_FILE

RESULTS, LOGS, DOWNLOADS, SEAL = "results", "logs", "downloads", "entry.json"
SCHEMA = "undoor/fleet-entry/1"
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
MAX_NAME = 60
# Of a digest, as much as a folder is named by.
DIGITS = 12
# What a command ends with that has a result, and the verdict that belongs to it.
VERDICTS = {0: ("clean",), 1: ("backdoored",), 2: ("inconclusive",), 5: None}
BUDGETS = ("max_passes", "max_seconds")


@dataclass(frozen=True)
class Results:
    """The results in the folder of a fleet.

    Attributes
    ----------
    out
        The folder.
    """

    out: Path

    @property
    def downloads(self) -> Path:
        """Where models are put that do not lie on disk as files of their own."""
        return self.out / DOWNLOADS

    def folder(self, job: Job, key: str) -> Path:
        """Return where the result of a job stands."""
        return self.out / RESULTS / _folder_name(job, key)

    def files(self, job: Job, key: str) -> tuple[Path, Path]:
        """Return the files for what its command prints: the document, and the messages."""
        name = _folder_name(job, key)
        return self.out / LOGS / f"{name}.json", self.out / LOGS / f"{name}.txt"

    def stored(self, job: Job, key: str) -> FleetEntry | None:
        """Return the entry of an earlier run; None where there is none that holds for this job.

        A result that lacks a file, or whose files were changed, does not hold; nor does one whose
        budget ended where the budget is another now.
        """
        folder = self.folder(job, key)
        sealed = read_json(folder / SEAL)
        try:
            if sealed["schema"] != SCHEMA or sealed["entry"]["key"] != key:
                return None
            if any(sha256_of(folder / name) != sha for name, sha in sealed["files"].items()):
                return None
            entry = FleetEntry.from_json(sealed["entry"])
            if BUDGET in entry.causes and sealed["budget"] != _budget(job.options):
                return None
        except (KeyError, TypeError, AttributeError, OSError, UndoorError):
            return None
        return replace(entry, name=job.name, model=job.model, data=job.data)

    def read(self, job: Job, key: str, code: int) -> FleetEntry:
        """Return the entry of a job whose command ended with a code, and seal its result.

        Raises
        ------
        OSError
            The seal cannot be written.
        """
        folder = self.folder(job, key)
        entry = replace(FleetEntry.of(job, key), folder=f"{RESULTS}/{folder.name}")
        output, log = self.files(job, key)
        document = read_json(output)
        if code not in VERDICTS:
            return _failed(entry, document, code, log)
        try:
            entry = scanned(entry, read_json(folder / SCAN_FILE), code)
            if job.verb == "repair":
                entry = repaired(entry, read_json(folder / REPAIR_DESCRIPTION))
        except (KeyError, TypeError, IndexError):
            return _failed(entry, document, code, log)
        expected = VERDICTS[code]
        if not isinstance(document, dict) or (expected and entry.verdict not in expected):
            return _failed(entry, document, code, log)
        files = {
            path.name: sha256_of(path)
            for path in sorted(folder.iterdir())
            if path.is_file() and not path.name.startswith(".") and path.name != SEAL
        }
        sealed = {"entry": entry.to_json(), "files": files, "budget": _budget(job.options)}
        write_json(folder / SEAL, {"schema": SCHEMA, **sealed})
        return entry


def _folder_name(job: Job, key: str) -> str:
    """Return the name of a job as one of a folder, with the start of its digest."""
    name = UNSAFE.sub("-", job.name).strip(".-")[:MAX_NAME] or "model"
    return f"{name}-{key[:DIGITS]}"


def _failed(entry: FleetEntry, document: Any, code: int, log: Path) -> FleetEntry:
    """Return the entry of a command without a result, with the error that it printed."""
    where = f"see {log.parent.name}/{log.name}"
    if code < 0:
        advice = f"give it more memory or look at the model, {where}"
        return entry.failed(f"its process {words_of(code)}, again and again; {advice}", 4)
    if isinstance(document, dict) and isinstance(document.get("what_to_do"), str):
        problem = Problem(str(document.get("message")), document["what_to_do"])
        return replace(entry, state="failed", exit_code=code, problem=problem)
    return entry.failed(f"its process ended with {code} and no result; {where}", 4)


def _budget(options: Mapping[str, Value]) -> dict[str, Value]:
    return {name: options[name] for name in BUDGETS if name in options}
