"""What is known of one model of a fleet: its row in the table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from undoor.errors import UndoorError
from undoor.fleet.job import Job
from undoor.vocabulary import Verdict

State = Literal["waiting", "running", "finished", "failed"]
# As the reasons of a scan whose budget ended have them.
SECONDS = re.compile(r" sample passes and [\d,]+ s\b")
STATES = ("failed", "finished", "running", "waiting")


@dataclass(frozen=True)
class Target:
    """A class that is a target of a backdoor.

    Attributes
    ----------
    target, class_name
        Its number and name.
    family
        Of the trigger.
    p_value
        How often a clean model looks like this, in [0, 1].
    asr
        The share of held-out images that the trigger moves, in [0, 1].
    repaired_asr, repaired_sia
        The attack success rate and the robust accuracy with the repair; None without one.
    """

    target: int
    class_name: str
    family: str
    p_value: float
    asr: float
    repaired_asr: float | None = None
    repaired_sia: float | None = None


@dataclass(frozen=True)
class Problem:
    """Why there is no result: what is wrong, and what to do."""

    message: str
    what_to_do: str


@dataclass(frozen=True)
class FleetEntry:
    """One model of a fleet.

    It holds nothing that differs from one run to the next, such as times.

    Attributes
    ----------
    name, model, data
        As of the job.
    state
        How far it is.
    exit_code
        Of the command that examined it; None before it ended.
    verdict
        None where there is none.
    targets
        The suspected targets.
    reasons
        Of the verdict, in words.
    causes
        Why there is no verdict, where the cause is known.
    problem
        Why there is no result; None where there is one, or not yet.
    key
        SHA-256 over all that the result depends on; None where a file could not be read.
    model_sha256
        The fingerprint of the model.
    folder
        Of the result, below that of the fleet.
    """

    name: str
    model: str
    data: str
    state: State = "waiting"
    exit_code: int | None = None
    verdict: Verdict | None = None
    targets: tuple[Target, ...] = ()
    reasons: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    problem: Problem | None = None
    key: str | None = None
    model_sha256: str | None = None
    folder: str | None = None

    @staticmethod
    def of(job: Job, key: str | None = None) -> FleetEntry:
        """Return the entry of a job that waits."""
        return FleetEntry(job.name, job.model, job.data, key=key)

    def failed(self, message: str, exit_code: int) -> FleetEntry:
        """Return the entry of a job that has no result.

        Parameters
        ----------
        message
            What is wrong, and what to do behind a semicolon.
        exit_code
            That a command which fails so ends with.
        """
        wrong, _, advice = message.rpartition("; ")
        problem = Problem(wrong or message, advice if wrong else "run the same command again")
        return replace(self, state="failed", exit_code=exit_code, problem=problem)

    def to_json(self) -> dict[str, Any]:
        """Return every field by its name, as JSON has it."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> FleetEntry:
        """Read what `to_json` gave.

        Raises
        ------
        UndoorError
            It gave something else.
        """
        try:
            problem = data["problem"]
            return FleetEntry(
                **{
                    **data,
                    "targets": tuple(Target(**target) for target in data["targets"]),
                    "reasons": tuple(data["reasons"]),
                    "causes": tuple(data["causes"]),
                    "problem": None if problem is None else Problem(**problem),
                }
            )
        except (KeyError, TypeError) as error:
            raise UndoorError(
                f"expected a model of a fleet, got what lacks or adds {error}; run the fleet again"
            ) from error


def scanned(entry: FleetEntry, scan: Mapping[str, Any], exit_code: int) -> FleetEntry:
    """Return the entry with the results of its scan.

    Parameters
    ----------
    scan
        The contents of a scan.json.
    exit_code
        Of the command.

    Raises
    ------
    KeyError, TypeError, IndexError
        `scan` is something else.
    """
    names = scan["class_names"]
    return replace(
        entry,
        state="finished",
        exit_code=exit_code,
        verdict=scan["verdict"],
        targets=tuple(
            Target(
                target=item["target"],
                class_name=names[item["target"]],
                family=item["family"],
                p_value=item["p_value"],
                asr=item["asr_on_clean_set"],
            )
            for item in scan["targets"]
        ),
        reasons=tuple(_without_seconds(reason["text"]) for reason in scan["reasons"]),
        causes=tuple(scan["causes"]),
        model_sha256=scan["model_sha256"],
    )


def _without_seconds(reason: str) -> str:
    """Return the reason of a verdict without a time, which is another in every run.

    >>> _without_seconds("the budget ended after 240 sample passes and 11 s: nothing was found")
    'the budget ended after 240 sample passes: nothing was found'
    """
    return SECONDS.sub(" sample passes", reason)


def repaired(entry: FleetEntry, repair: Mapping[str, Any]) -> FleetEntry:
    """Return the entry with what its repair achieves, from the contents of a repair.json."""
    achieved = {item["target"]: item for item in repair["targets"]}
    return replace(
        entry,
        targets=tuple(
            item
            if item.target not in achieved
            else replace(
                item,
                repaired_asr=achieved[item.target]["asr"],
                repaired_sia=achieved[item.target]["sia"],
            )
            for item in entry.targets
        ),
    )


def read_json(file: Path) -> Any:
    """Return the contents of a JSON file; None where it is missing or damaged."""
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
