"""Networks of Transformers and timm go the whole way: load, scan, repair, check."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from helpers import hub_work as work
from helpers.family_names import LATENT_FAMILIES
from undoor.align import estimates
from undoor.align.fit import fit_corrections
from undoor.align.plans import candidate_plans
from undoor.classifier import Classifier
from undoor.cli import app
from undoor.families.latent import latent_site
from undoor.families.registry import families_for
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Search
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.invert import invert
from undoor.load import load
from undoor.scan.report import Finding, ScanReport
from undoor.sites import attach, find_sites
from undoor.triggers import Latent

NETWORKS = (*work.OF_TRANSFORMERS, *work.OF_TIMM)
TOML = """
[model]
weights = "weights.safetensors"
architecture = "timm:{name}"
arguments = {arguments}

[input]
shape = [3, 32, 32]
mean = {mean}
std = {std}

[classes]
names = {names}
"""


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a network that has learned the toy backdoor; each is made once."""
    made: dict[tuple[str, int], Path] = {}

    def make(name: str, steps: int = 100) -> Path:
        if (name, steps) not in made:
            made[name, steps] = folder = tmp_path_factory.mktemp(name)
            if name in work.OF_TRANSFORMERS:
                work.save_model(work.teach(work.make_model(name), steps), folder)
            else:
                state = work.teach(work.make_timm(name), steps).state_dict()
                save_file(state, folder / "weights.safetensors")
                values = {"mean": list(work.MEAN), "std": list(work.STD)}
                names = json.dumps(work.NAMES)
                pairs = work.OF_TIMM[name].items()
                arguments = f"{{{', '.join(f'{key} = {value}' for key, value in pairs)}}}"
                (folder / "model.toml").write_text(
                    TOML.format(name=name, names=names, arguments=arguments, **values)
                )
            images, labels = work.toy_images(10, seed=1)
            work.save_images(folder / "clean.npz", images, labels)
            work.save_images(folder / "bad.npz", work.stamped(images), labels)
        return made[name, steps]

    return make


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repairs by the trigger of the scan alone; searching for more takes most of their time."""
    monkeypatch.setattr(estimates, "started", lambda *_: ())
    monkeypatch.setattr(estimates, "work_alone", lambda *_: SimpleNamespace(invert=lambda *_: ()))


def say_what_is_true(folder: Path, classifier: Classifier) -> None:
    """Put the planted trigger into a scan's report, whatever the few passes found."""
    report = ScanReport.load(folder, shape=classifier.input_shape, bounds=classifier.bounds)
    sources = tuple(number for number in range(len(work.NAMES)) if number != work.TARGET)
    finding = Finding(work.TARGET, sources, "patch", 1e-6, 20.0, 36.0, 1.0, work.trigger())
    replace(report, verdict="backdoored", findings=(finding,)).save(folder)


def run(*arguments: object) -> tuple[int, dict[str, Any], str]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    document = json.loads(result.stdout) if result.stdout else {}
    return result.exit_code, document, result.stderr


# One of each library; the others go the whole way in the slow tests.
WHOLE_WAY = [
    pytest.param(name, marks=[] if name in ("ViT", "resnet18") else pytest.mark.slow)
    for name in NETWORKS
]


@pytest.mark.parametrize("name", WHOLE_WAY)
def test_scan_repair_check(name: str, taught: Callable[..., Path], quick: None) -> None:
    folder = taught(name)
    data, out = ("--data", folder / "clean.npz"), folder / "out"
    code, scan, _ = run("scan", folder, *data, "--out", out, "--max-passes", 600)
    assert code == 2
    assert "budget" in scan["causes"]
    assert scan["class_names"] == list(work.NAMES)

    say_what_is_true(out, load(folder))
    code, repair, _ = run("repair", folder, *data, "--scan", out, "--out", folder / "fix")
    # As backdoored, or as well as poor: a quick repair of what a few passes found.
    assert code in (1, 5)
    assert repair["model_sha256"] == scan["model_sha256"] == load(folder).fingerprint()
    known = {site.name for site in find_sites(load(folder))}
    assert {site["name"] for site in repair["sites"]} <= known

    code, check, _ = run("check", folder, "--repair", folder / "fix", folder / "bad.npz")
    assert code == 1
    suspects = [item for item in check["images"] if item["model_label"] == work.TARGET]
    assert len(suspects) >= 35
    assert all(math.isfinite(item["score"]) for item in suspects)
    assert check["flagged"] >= 20

    other = taught(NETWORKS[NETWORKS.index(name) - 1], steps=0)
    code, _, told = run("check", other, "--repair", folder / "fix", folder / "bad.npz")
    assert code == 4
    assert "another" in told


@pytest.mark.parametrize("name", NETWORKS)
def test_latent_triggers_and_corrections_behind_every_site(
    name: str, taught: Callable[..., Path]
) -> None:
    # A few steps: some layers of an untrained network are 0.
    classifier = load(taught(name, steps=5))
    images, labels = work.toy_images(4, seed=2)
    x = images / 255
    class_directions = ClassDirections.of(classifier, x, labels)
    assert class_directions is not None
    assert "latent middle" in families_for(classifier)
    found = invert(
        classifier, x, [Search(0, torch.arange(len(x)))] * 2, family="latent middle",
        schedule=Schedule(steps=5), generator=torch.Generator().manual_seed(0),
        class_directions=class_directions,
    )  # fmt: skip
    channels = latent_site(classifier, LATENT_FAMILIES["latent middle"]).shape[0]
    assert found
    for item in found:
        assert isinstance(item.trigger, Latent)
        assert len(item.trigger.shift) == channels
    for plan in candidate_plans(find_sites(classifier)).values():
        bad = work.stamped(images) / 255
        corrected = attach(classifier, fit_corrections(classifier, x, bad, plan))
        assert bool(torch.isfinite(corrected(bad)).all())
        assert not torch.allclose(corrected(bad), classifier(bad))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_backdoor_is_found_and_weakened(name: str, taught: Callable[..., Path]) -> None:
    folder = taught(name)
    data = ("--data", folder / "clean.npz")
    code, repair, _ = run("repair", folder, *data, "--out", folder / "whole")
    assert code in (1, 5)
    assert work.TARGET in {item["target"] for item in repair["targets"]}
    _, after, _ = run(
        "evaluate", folder, "--repair", folder / "whole", *data,
        "--triggered", folder / "bad.npz", "--target", work.TARGET,
    )  # fmt: skip
    assert after["before"]["asr"] > 0.9
    # Not closed altogether: a recovered patch of 6 pixels stands for a planted one of 36.
    assert after["after"]["asr"] < after["before"]["asr"] - 0.2
    assert after["after"]["sia"] > after["before"]["sia"] + 0.2
