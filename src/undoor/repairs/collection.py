"""Repairs as files: what is there, several made one, one without some of its targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from undoor.errors import UndoorError
from undoor.files import sha256_of, walk
from undoor.repairs.contents import TargetRepair
from undoor.repairs.file import SUFFIX
from undoor.repairs.record import Repair
from undoor.sealed import is_sealed
from undoor.vocabulary import LAST, REPAIR_FILE, Prefer, Verdict

# The verdict of several repairs combined is the gravest of theirs.
GRAVEST: tuple[Verdict, ...] = ("backdoored", "inconclusive", "clean")


@dataclass(frozen=True, eq=False)
class Listed:
    """A file that holds a repair, or claims to.

    Attributes
    ----------
    problem
        Why it cannot be used; None if it can.
    sha256
        Of the file, as `sha256sum` gives it; None where it cannot be read.
    """

    file: Path
    sha256: str | None
    repair: Repair | None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `undoor repairs list --json` shows of the file."""
        head = {"file": str(self.file), "sha256": self.sha256, "problem": self.problem}
        if self.repair is None:
            return head
        names = self.repair.contract.class_names
        return head | {
            "undoor": self.repair.version,
            "model_sha256": self.repair.fingerprint,
            "verdict": self.repair.verdict,
            "fit": self.repair.fit,
            "targets": [
                {
                    "target": item.target,
                    "class": names[item.target],
                    "sources": list(item.sources),
                    "threshold": item.threshold,
                    "scores": item.calibration.scores_to_json(),
                    "sites": [vars(site) for site in item.sites],
                }
                for item in self.repair.targets
            ],
        }


def listed(paths: Iterable[str | Path]) -> list[Listed]:
    """Return the repairs at these paths: files, and folders that hold them at any depth.

    One that cannot be read is listed with its problem.

    Raises
    ------
    UndoorError
        There is none at one of the paths.
    """
    found: list[Listed] = []
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        files = _repairs_in(path) if path.is_dir() else [path]
        if not files:
            raise UndoorError(f"{path}: no repair there; expected a file such as {REPAIR_FILE}")
        found += [_listed(file) for file in files]
    return found


def combine(repairs: Sequence[Repair], *, prefer: Prefer | None = None) -> Repair:
    """Return one repair of all their targets, in the order of the classes.

    The repairs are of one model and one fit. Each target keeps its corrections and its threshold:
    an input is predicted as one class, so that only one of the guards judges it.

    Parameters
    ----------
    prefer
        Whose corrections a target gets that several repairs correct; refused without.

    Raises
    ------
    UndoorError
        There are fewer than two, or they are of different models or fits, or correct the same
        target.
    """
    if len(repairs) < 2:
        raise UndoorError(f"expected at least two repairs to combine, got {len(repairs)}")
    if prefer not in (None, *get_args(Prefer)):
        raise UndoorError(f"prefer must be first or last, got {prefer!r}")
    first = repairs[0]
    fits = dict.fromkeys(repair.fit for repair in repairs)
    if len(fits) > 1:
        raise UndoorError(
            f"expected repairs of one fit, got {', '.join(fits)}; "
            "repair again what is to be combined"
        )
    for other in repairs[1:]:
        _require_same_model(first, other)
    chosen: dict[int, TargetRepair] = {}
    for item in (item for repair in repairs for item in repair.targets):
        if item.target in chosen and prefer is None:
            raise UndoorError(
                f"the target {_label(first, item.target)} is corrected by more than one of the "
                "repairs, and two corrections cannot both stand; prefer the first or the last "
                "(--prefer), or remove it from one"
            )
        if item.target not in chosen or prefer == LAST:
            chosen[item.target] = item
    verdicts = {repair.verdict for repair in repairs}
    return Repair(
        verdict=next(verdict for verdict in GRAVEST if verdict in verdicts),
        targets=tuple(chosen[target] for target in sorted(chosen)),
        fit=first.fit,
        fingerprint=first.fingerprint,
        contract=first.contract,
        identity=first.identity,
    )


def remove(repair: Repair, targets: Iterable[int]) -> Repair:
    """Return the same repair without these targets.

    Raises
    ------
    UndoorError
        It does not correct one of them, or nothing would be left: a guard without targets would
        look like protection.
    """
    gone = set(targets)
    corrected = [item.target for item in repair.targets]
    shown = ", ".join(_label(repair, target) for target in corrected) or "none"
    for target in sorted(gone):
        if target not in corrected:
            raise UndoorError(f"expected a target of the repair ({shown}), got {target}")
    if gone and gone == set(corrected):
        raise UndoorError(
            f"nothing would be left: the repair corrects {shown} alone; expected another target "
            "to stay. To go back, serve the model without the repair"
        )
    return replace(
        repair, targets=tuple(item for item in repair.targets if item.target not in gone)
    )


def _require_same_model(first: Repair, other: Repair) -> None:
    differences = list(first.contract.differences(other.contract))
    if first.fingerprint != other.fingerprint:
        known = first.identity and other.identity and first.identity.differences(other.identity)
        hashes = f"{first.fingerprint[:12]}, {other.fingerprint[:12]}"
        differences[:0] = [hashes, *(known or ())]
    if differences:
        raise UndoorError(
            f"expected repairs of one model, got {'; '.join(differences)}; "
            "repair again what is to be combined"
        )


def _repairs_in(folder: Path) -> list[Path]:
    inside = (Path(root, name) for root, _, names in walk(folder) for name in names)
    files = [path for path in inside if path.suffix == SUFFIX and path.is_file()]
    return sorted(path for path in files if path.name == REPAIR_FILE or is_sealed(path))


def _listed(file: Path) -> Listed:
    try:
        repair = Repair.load(file)
    except UndoorError as error:
        return Listed(file, _sha256(file), None, str(error))
    return Listed(file, _sha256(file), repair)


def _sha256(file: Path) -> str | None:
    try:
        return sha256_of(file)
    except OSError:
        return None


def _label(repair: Repair, target: int) -> str:
    name = repair.contract.class_names[target]
    return str(target) if name == str(target) else f"{target} {name}"
