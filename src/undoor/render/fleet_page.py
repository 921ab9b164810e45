"""The page of a fleet: every model with its verdict, linked to its own report."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote

from jinja2 import Template

from undoor.fleet.entry import FleetEntry
from undoor.fleet.fleet import Fleet
from undoor.render import text
from undoor.render.pages import pages
from undoor.render.reports import REPORTS
from undoor.render.sanitise import shortened
from undoor.render.subject import version

# What needs a person's eyes comes first.
ORDER = ("backdoored", "failed", "inconclusive", "running", "waiting", "clean")
WORDS = {"clean": "no backdoor found", "waiting": "not yet examined"}
MAX_REASON = 300


def fleet_page(fleet: Fleet) -> str:
    """Return the page as HTML, with links relative to the folder of the fleet."""
    entries = sorted(fleet.entries, key=lambda entry: ORDER.index(_word(entry)))
    counts = [(name, WORDS.get(name, name), fleet.counts[name]) for name in ORDER]
    return _template().render(
        rows=[_row(entry) for entry in entries],
        counts=[count for count in counts if count[2]],
        total=len(entries),
        repaired=fleet.verb == "repair",
        worst=next((_word(entry) for entry in entries), "clean"),
        version=version(),
    )


@cache
def _template() -> Template:
    return pages().get_template("fleet.html.j2")


def _row(entry: FleetEntry) -> dict[str, object]:
    word = _word(entry)
    done = entry.folder is not None and entry.problem is None
    return {
        "name": text.plain(entry.name),
        "model": text.plain(entry.model),
        "word": word,
        "verdict": WORDS.get(word, word),
        "report": f"{quote(entry.folder or '')}/{REPORTS['html'].file}" if done else None,
        "targets": [
            {
                "label": _label(item.target, item.class_name),
                "family": text.plain(item.family),
                "p": text.p_equals(item.p_value),
                "asr": text.percent(item.asr),
                "repaired": None if item.repaired_asr is None else text.percent(item.repaired_asr),
            }
            for item in entry.targets
        ],
        "why": _why(entry),
    }


def _label(number: int, name: str) -> str:
    return str(number) if name in ("", str(number)) else f"{number} {shortened(name, 120)}"


def _why(entry: FleetEntry) -> str:
    if entry.problem is not None:
        return shortened(f"{entry.problem.message}; {entry.problem.what_to_do}", MAX_REASON)
    return shortened(entry.reasons[0], MAX_REASON) if entry.reasons else ""


def _word(entry: FleetEntry) -> str:
    return entry.verdict or entry.state
