"""The pages as a browser shows them, where Chromium is installed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from helpers import chromium
from helpers.exported_files import exported, guarded_pair, pictures
from helpers.html_pages import Page
from helpers.serving import listening
from undoor.fleet.entry import FleetEntry, Problem, Target
from undoor.fleet.fleet import Fleet
from undoor.fleet.store import write_store
from undoor.serve.limits import Limits
from undoor.serve.onnx_engine import OnnxEngine
from undoor.serve.settings import Settings

# Of the time that the page sees: as long as its requests take.
OPTIONS = ("--virtual-time-budget=4000", "--dump-dom")
ENTRIES = (
    FleetEntry("calm", "calm.pt", "clean/", "finished", 0, "clean"),
    FleetEntry(
        "signs", "signs.pt", "clean/", "finished", 1, "backdoored",
        (Target(5, "speed limit 80", "patch", 0.0015, 0.97),), ("a trigger was found",),
    ),
    FleetEntry("late", "late.pt", "clean/", "failed", 4,
               problem=Problem("its file is damaged", "copy it again")),
)  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service with a fleet, which has flagged some pictures."""
    chromium.browser()
    folder = tmp_path_factory.mktemp("served")
    fleet = f"sqlite:///{folder}/fleet.db"
    write_store(fleet, Fleet(ENTRIES, "scan", 4), folder / "fleet")
    engine = OnnxEngine(exported().file, name="signs", threads=1)
    settings = Settings(
        f"sqlite:///{folder}/flags.sqlite", keep=50, limits=Limits(delay=0.0), fleet=fleet
    )
    with listening(engine, settings) as found:
        for pixels in pictures():
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            answer = httpx2.post(
                f"{found}/classify",
                content=out.getvalue(),
                headers={"Content-Type": "image/png"},
            )
            assert answer.status_code == 200
        yield found


def test_guard(address: str, tmp_path: Path) -> None:
    flagged = httpx2.get(f"{address}/guard/flagged").json()["flagged"]
    assert flagged
    (target,) = (item.target for item in guarded_pair()[1].targets)
    seen = Page(chromium.run(f"{address}/", tmp_path / "profile", *OPTIONS))
    text = seen.told()
    assert "The guard is on. No alarm." in text
    assert "Policy: relabel." in text
    alts = [image["alt"] for image in seen.all("img")]
    assert [alt for alt in alts if alt.startswith("input ")] == [
        f"input {item['number']}" for item in flagged
    ]
    # The recovered trigger that the exported file carries, in the table and beside each input.
    by_guard = [item for item in flagged if item["target"] == target]
    assert alts.count("recovered trigger") == len(by_guard) > 0
    assert sum(alt.startswith("Recovered trigger of class") for alt in alts) == 1
    assert all(image["src"].startswith("blob:") for image in seen.all("img"))
    assert "50 newest are kept" in text


def test_fleet(address: str, tmp_path: Path) -> None:
    text = Page(chromium.run(f"{address}/fleet", tmp_path / "profile", *OPTIONS)).told()
    assert "3 models: 1 backdoored, 1 failed, 1 no backdoor found." in text
    assert "5 (speed limit 80): patch, p = 0.0015, moves 97.0 %" in text
    assert "its file is damaged; copy it again" in text
    order = [text.index(f" {entry.name} ") for entry in ENTRIES]
    assert order[1] < order[2] < order[0]
