"""The result of a fleet: one entry for each model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.files import write_json
from undoor.fleet.entry import STATES, FleetEntry, read_json
from undoor.fleet.job import Verb
from undoor.scan.circumstances import version

SCHEMA = "undoor/fleet/1"
FLEET_FILE = "fleet.json"


@dataclass(frozen=True)
class Fleet:
    """The result of a fleet.

    Attributes
    ----------
    entries
        One for each model, in the order in which they were given.
    verb
        The command that examined them.
    exit_code
        That of the worst; None while models wait.
    undoor
        The version that examined them.
    """

    entries: tuple[FleetEntry, ...]
    verb: Verb
    exit_code: int | None = None
    undoor: str = ""

    @staticmethod
    def of(entries: Sequence[FleetEntry], verb: Verb, exit_code: int | None = None) -> Fleet:
        """Return the result of entries that this version of undoor has made."""
        return Fleet(tuple(entries), verb, exit_code, version())

    @property
    def counts(self) -> dict[str, int]:
        """How many models have each verdict, and how many none, in each state.

        >>> Fleet((FleetEntry("a", "a.toml", "clean/"),), "scan").counts["waiting"]
        1
        """
        found: Counter[str] = Counter(entry.verdict or entry.state for entry in self.entries)
        names = ("backdoored", "inconclusive", "clean", *(s for s in STATES if s != "finished"))
        return {name: found[name] for name in names}

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON has it: the same for the same models, whoever examined them."""
        return {
            "schema": SCHEMA,
            "undoor": self.undoor,
            "command": self.verb,
            "exit_code": self.exit_code,
            "counts": self.counts,
            "models": [entry.to_json() for entry in self.entries],
        }

    def save(self, folder: Path) -> Path:
        """Write the result into a folder, and return its file.

        Raises
        ------
        OSError
            It cannot be written.
        """
        file = folder / FLEET_FILE
        write_json(file, self.to_json())
        return file

    @staticmethod
    def load(folder: Path) -> Fleet:
        """Read what `save` wrote.

        Raises
        ------
        UndoorError
            There is no fleet, or one of another version.
        """
        data = read_json(folder / FLEET_FILE)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise UndoorError(
                f"{folder}: expected the --out folder of `undoor fleet`, with a {FLEET_FILE} of "
                f"the schema {SCHEMA}; check the path"
            )
        try:
            entries = tuple(FleetEntry.from_json(model) for model in data["models"])
            return Fleet(entries, data["command"], data["exit_code"], data["undoor"])
        except (KeyError, TypeError) as error:
            raise UndoorError(
                f"{folder / FLEET_FILE} is damaged ({error}); run the fleet again"
            ) from error
