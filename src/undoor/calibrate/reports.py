"""Reports of scans as files, without the triggers that they recovered."""

from __future__ import annotations

import json
from pathlib import Path

from undoor.errors import UndoorError
from undoor.files import why
from undoor.scan.report import ScanReport
from undoor.scan.schemas import require_readable
from undoor.vocabulary import SCAN_FILE


def read_report(path: Path) -> ScanReport:
    """Read the report of a scan, without its findings.

    Parameters
    ----------
    path
        The folder that `ScanReport.save` wrote, its scan.json, or what ``undoor scan --json``
        printed.

    Raises
    ------
    UndoorError
        It is none of these.
    """
    file = path / SCAN_FILE if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refused)
        require_readable(data, file)
        return ScanReport.from_json(data, findings=())
    except OSError as error:
        raise UndoorError(
            f"{file}: {why(error)}; expected an --out folder of `undoor scan`, or what its --json "
            "printed"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UndoorError(f"{file}: not a scan report ({error!r}); scan again") from error


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
