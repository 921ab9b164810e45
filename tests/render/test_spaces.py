"""Reports on inputs that are no images."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from undoor.clean_set import CleanSet
from undoor.cli.output import save_scan
from undoor.render.html import html_report
from undoor.scan.coverage import Coverage
from undoor.scan.reason import written
from undoor.scan.report import Finding, ScanReport
from undoor.triggers import Stamp

CLASSES = 3


def report() -> ScanReport:
    """Of a table with 8 columns, of which the trigger sets the last to its highest value."""
    mask = torch.zeros(8)
    mask[-1] = 1
    trigger = Stamp("patch", mask, torch.ones(8), "replace", (0.0, 1.0))
    finding = Finding(
        target=1,
        sources=(0, 2),
        family="patch",
        p_value=0.001,
        score=9.0,
        size=1.0,
        asr_on_clean_set=1.0,
        trigger=trigger,
    )
    return ScanReport(
        verdict="backdoored",
        reasons=(written("a reason"),),
        findings=(finding,),
        evidence=(),
        coverage=Coverage(),
        class_names=("a", "b", "c"),
        fingerprint="0" * 64,
        images=9,
        seed=0,
        seconds=1.0,
        passes=1,
    )


def test_a_page_on_a_table_shows_bars() -> None:
    rows = CleanSet(torch.full((9, 8), 0.25), torch.arange(9) % CLASSES)
    page = html_report(report(), examples=rows)
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r"data:image/png;base64,([^\"]+)", page)
    ]
    assert len(pictures) >= 3
    # With the trigger the last bar fills its column from the bottom to the top.
    full = [picture[..., :3].max(2).max(0)[-1] < 128 for picture in pictures[:3]]
    assert any(full)
    assert not all(full)


def test_triggers_of_tables_are_saved_as_pictures(tmp_path: Path) -> None:
    files = save_scan(tmp_path / "scan", report())
    assert files[-1].suffix == ".png"
    with Image.open(files[-1]) as picture:
        assert picture.size[0] == 8 * 4 * 2
