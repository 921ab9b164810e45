"""The report as a browser shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import chromium
from helpers.cli_fakes import FakeEvaluation, FakeRepair, make_report
from helpers.html_pages import Page
from undoor.clean_set import CleanSet
from undoor.render.html import html_report
from undoor.render.subject import Subject

# Told on the first screen of 1280 x 800, below one another or side by side.
QUESTIONS = ("look", "todo", "sure", "done", "left")
# Where things are is read from the page itself; only this copy of it carries a script.
PROBE = """<script>
document.body.dataset.overflow = document.documentElement.scrollWidth > innerWidth;
for (const id of IDS) {
  const element = document.getElementById(id);
  element.dataset.bottom = Math.round(element.closest("section").getBoundingClientRect().bottom);
}
document.querySelectorAll("img").forEach(i => i.dataset.drawn = i.naturalWidth > 0);
</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(
        html_report(
            make_report(shape=(3, 32, 32)),
            FakeRepair(),  # type: ignore[arg-type]
            FakeEvaluation(),  # type: ignore[arg-type]
            subject=Subject("model.toml", "clean/", "SignNet", 12345, (3, 32, 32), (0.0, 1.0)),
            examples=CleanSet(torch.rand(12, 3, 32, 32), torch.arange(12) % 3),
        ),
        encoding="utf-8",
    )
    return file


def probed(page: Path) -> Path:
    """The page with a script that measures it, and leave to run one."""
    text = page.read_text(encoding="utf-8")
    text = text.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
    copy = page.with_name("probed.html")
    copy.write_text(text.replace("</body>", PROBE.replace("IDS", str(list(QUESTIONS)))))
    return copy


def test_first_screen(page: Path, tmp_path: Path) -> None:
    """Every answer stands on it, pictures are drawn, nothing sticks out."""
    seen = Page(chromium.run(probed(page).as_uri(), tmp_path / "profile", "--dump-dom"))
    headings = {h["id"]: int(h["data-bottom"]) for h in seen.all("h2") if "data-bottom" in h}
    assert headings.keys() == set(QUESTIONS)
    assert max(headings.values()) <= chromium.SIZE[1]
    assert [image["data-drawn"] for image in seen.all("img")] == ["true"] * 4
    assert seen.all("body")[0]["data-overflow"] == "false"


def test_light_and_dark(page: Path, tmp_path: Path) -> None:
    """Paper is bright in the one and dark in the other; the verdict's colour is on both."""
    corners = []
    for name, scheme in (("light", 1), ("dark", 0)):
        shot = tmp_path / f"{name}.png"
        options = (f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}")
        chromium.run(page.as_uri(), tmp_path / name, *options)
        pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
        assert pixels.shape[:2] == chromium.SIZE[::-1]
        corners.append(pixels[5, 5].mean())
        reddish = (pixels[..., 0] > pixels[..., 1] + 60) & (pixels[..., 0] > pixels[..., 2] + 40)
        assert reddish.mean() > 0.005
    assert corners[0] > 240
    assert corners[1] < 40


def test_paper(page: Path, tmp_path: Path) -> None:
    pdf = tmp_path / "report.pdf"
    chromium.run(
        page.as_uri(), tmp_path / "profile", f"--print-to-pdf={pdf}", "--no-pdf-header-footer"
    )
    assert pdf.read_bytes().startswith(b"%PDF")
    assert 1 <= pdf.read_bytes().count(b"/Type /Page\n") <= 12
