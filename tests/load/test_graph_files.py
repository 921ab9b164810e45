"""Files that bring their network: load, scan, repair, or an explained refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import undoor
from helpers import graph_work as work
from helpers.scan_work import report_of
from helpers.tiny import TARGET, clean_images, true_trigger
from undoor.cli import app
from undoor.errors import UndoorError
from undoor.load.graph_files import read_graph
from undoor.render.coverage import reasons
from undoor.scan.report import ScanReport
from undoor.sites import find_sites

# The searches of a repair go through the network of every file, those of a scan through one each.
SCANNED = ("pt2", "onnx, dynamo")


@pytest.mark.parametrize("source", work.SOURCES)
def test_the_whole_way(source: str, tmp_path: Path, toy_report: ScanReport) -> None:
    network = work.toy()
    classifier = undoor.load(work.SOURCES[source](network, tmp_path))
    clean = clean_images(20).for_classifier(classifier)
    assert classifier.input_shape == (1, 8, 8)
    for images in (clean.images, clean.images[:1]):
        torch.testing.assert_close(classifier(images), network(images), atol=1e-4, rtol=1e-4)
    scanned = source in SCANNED
    report = undoor.scan(classifier, clean) if scanned else report_of(classifier, toy_report)
    assert [finding.target for finding in report.findings] == [TARGET]
    repair = undoor.repair(classifier, clean, report)
    stamped = true_trigger()(clean.images)[clean.labels != TARGET]
    assert bool((classifier.predict(stamped) == TARGET).float().mean() > 0.9)
    labels, _, _ = undoor.guard(classifier, repair)(stamped)
    assert float((labels == TARGET).float().mean()) < 0.1
    repair.save(tmp_path / "fix")
    again = undoor.load(next(tmp_path.glob("m.*")))
    assert undoor.Repair.load(tmp_path / "fix", again).fingerprint == repair.fingerprint


@pytest.mark.parametrize("traced", [False, True])
def test_torch_script_is_scanned_and_not_repaired(tmp_path: Path, traced: bool) -> None:
    file = work.script(work.toy(), tmp_path / "m.pt", traced=traced)
    classifier = undoor.load(file, input_shape=(1, 8, 8))
    clean = clean_images(20).for_classifier(classifier)
    report = undoor.scan(classifier, clean)
    assert [finding.target for finding in report.findings] == [TARGET]
    assert "TorchScript" in " ".join(reasons(report))
    assert "cannot be repaired" in " ".join(reasons(report))
    with pytest.raises(UndoorError, match=r"TorchScript.*torch.export.save"):
        undoor.repair(classifier, clean, report)


def test_torch_script_is_not_scanned_for_a_repair(tmp_path: Path) -> None:
    file, data = work.script(work.toy(), tmp_path / "m.pt"), tmp_path / "clean.npz"
    clean = clean_images(5)
    np.savez(data, x=clean.images.numpy(), y=clean.labels.numpy())
    options = ["--input-shape", "1,8,8", "--data", str(data), "--out", str(tmp_path / "fix")]
    shown = CliRunner().invoke(app, ["repair", str(file), *options])
    assert shown.exit_code in (3, 4)
    assert "torch.export.save" in " ".join(shown.output.split())
    assert "inverting" not in shown.output


@pytest.mark.parametrize("source", ["pt2", "onnx, dynamo", "script"])
def test_dry_run(source: str, tmp_path: Path) -> None:
    write = {**work.SOURCES, "script": lambda net, folder: work.script(net, folder / "m.pt")}
    file = write[source](work.toy(), tmp_path)
    found = undoor.inspect(file, input_shape=(1, 8, 8), clean=clean_images(5))
    assert found.problem is None
    assert found.dry_run is not None
    assert found.dry_run.accuracy.value == 1.0


class Frozen(nn.Module):
    """Scores that no gradient passes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = work.toy()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.detach())


@pytest.mark.parametrize("source", ["pt2", "script"])
def test_no_gradient_no_verdict(source: str, tmp_path: Path) -> None:
    network = Frozen().eval()
    writers: dict[str, work.Write] = {"pt2": work.pt2, "script": work.script}
    classifier = undoor.load(writers[source](network, tmp_path / "m.pt2"), input_shape=(1, 8, 8))
    with pytest.raises(UndoorError, match=r"passes a gradient.*its scores have none"):
        undoor.scan(classifier, clean_images(5))


def test_inspected(tmp_path: Path) -> None:
    file = work.pt2(work.Mixed().eval(), tmp_path / "m.pt2")
    found = undoor.inspect(file)
    assert found.safe
    assert found.network is not None
    assert "network.group" in [site.name for site in found.network.sites]
    opaque = undoor.inspect(work.script(work.toy(), tmp_path / "m.pt"), input_shape=(1, 8, 8))
    assert opaque.network is not None
    assert "TorchScript" in opaque.network.warnings[0]


def test_what_the_user_adds(tmp_path: Path) -> None:
    work.pt2(work.Mixed(softmax=True).eval(), tmp_path / "m.pt2")
    toml = tmp_path / "model.toml"
    names = "names = ['a', 'b', 'c', 'd', 'e']"
    toml.write_text(
        "[model]\nweights = 'm.pt2'\noutput = 'probabilities'\n"
        f"[input]\nmean = [0.5]\nstd = [0.2]\n[classes]\n{names}\n"
    )
    classifier = undoor.load(toml)
    assert classifier.class_names == ("a", "b", "c", "d", "e")
    x = torch.rand(3, 1, 8, 8)
    expected = work.Mixed(softmax=True).eval()((x - 0.5) / 0.2)
    torch.testing.assert_close(classifier(x).softmax(1), expected)
    with pytest.raises(UndoorError, match=r"holds its network, .*; leave architecture out"):
        undoor.load(tmp_path / "m.pt2", architecture="x.py:net")
    with pytest.raises(UndoorError, match="output = 'probabilities'"):
        undoor.load(tmp_path / "m.pt2")


def test_a_script_needs_its_shape(tmp_path: Path) -> None:
    file = work.script(work.toy(), tmp_path / "m.pt")
    with pytest.raises(UndoorError, match=r"shape is missing.*input_shape"):
        undoor.load(file)


def test_state_dicts_are_none(tmp_path: Path) -> None:
    torch.save(work.toy().state_dict(), tmp_path / "m.pt")
    assert read_graph(tmp_path / "m.pt") is None
    assert read_graph(tmp_path / "missing.pt2") is None


def test_an_unsafe_file_is_told_before_a_missing_architecture(tmp_path: Path) -> None:
    torch.save(work.toy(), tmp_path / "m.pt")
    with pytest.raises(UndoorError, match="whole pickled module"):
        undoor.load(tmp_path / "m.pt")


@pytest.mark.parametrize("ending", ["pt2", "onnx", "pt"])
def test_truncated(tmp_path: Path, ending: str) -> None:
    writers: dict[str, work.Write] = {"pt2": work.pt2, "onnx": work.onnx, "pt": work.script}
    file = writers[ending](work.toy(), tmp_path / f"m.{ending}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    run = CliRunner().invoke(app, ["inspect", str(file), "--input-shape", "1,8,8"])
    assert run.exit_code in (3, 4)
    assert "Traceback" not in run.output
    with pytest.raises(UndoorError):
        undoor.load(file, input_shape=(1, 8, 8))


def test_two_layers_of_one_name_stand_apart(tmp_path: Path) -> None:
    classifier = undoor.load(work.pt2(work.Mixed().eval(), tmp_path / "m.pt2"))
    sites = [site.name for site in find_sites(classifier)]
    assert sites == [
        "entry",
        "network.first.1",
        "network.group",
        "network.layer",
        "network.rms",
        "network.hidden.1",
    ]
