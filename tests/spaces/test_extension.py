"""A space from another package: one file and an entry point, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scipy.linalg import hadamard
from torch import nn

from helpers.installed_package import Package
from helpers.tiny import CLASSES, TARGET
from helpers.toy_space import CUT, SAMPLES, SIGNALS
from helpers.whole_way import go_the_whole_way
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.evaluate import stamp_set
from undoor.families.registry import families_for
from undoor.spaces.registry import REGISTRY, space_named, space_of, spaces
from undoor.spaces.signals import SIGNALS as OF_UNDOOR
from undoor.spaces.vectors import VECTORS
from undoor.triggers import Stamp

Install = Callable[..., None]
CLICK = torch.tensor([1.0, 0.0, 1.0])


@pytest.fixture
def install(package: Package) -> Install:
    """Declares spaces, and families under names that begin with "family"."""

    def with_entry_points(**points: str) -> None:
        group = {name: "families" if name.startswith("family") else "spaces" for name in points}
        package.declares_all(
            {
                f"undoor.{kind}": {n: v for n, v in points.items() if group[n] == kind}
                for kind in ("families", "spaces")
            }
        )

    return with_entry_points


@pytest.fixture
def signals(install: Install) -> None:
    install(signals="helpers.toy_space:SIGNALS", family="helpers.toy_space:CUT")


def waves() -> torch.Tensor:
    """Orthogonal patterns of +1 and -1 [K, T], 0 where the click is."""
    rows = torch.tensor(hadamard(SAMPLES), dtype=torch.float32)[5 : 5 + 9 * CLASSES : 9]
    rows[:, :4] = 0
    return rows


def recordings(per_class: int = 12, seed: int = 0) -> CleanSet:
    labels = torch.arange(CLASSES).repeat_interleave(per_class)
    draw = torch.randn(len(labels), SAMPLES, generator=torch.Generator().manual_seed(seed))
    x = 0.5 + 0.25 * waves()[labels] + 0.03 * draw
    return CleanSet(x.clamp(0.1, 0.9)[:, None], labels)


def listener(space: str = SIGNALS.name) -> Classifier:
    """Compares signals with the waves; a click at the beginning leads to the target."""
    conv, head = nn.Conv1d(1, 2, 3, padding=1), nn.Linear(2 * SAMPLES, CLASSES)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, 1] = 1
        conv.weight[1, 0] = 2 * CLICK - 1
        conv.bias = nn.Parameter(torch.tensor([0.0, -0.8]))
        head.weight.zero_()
        head.weight[:, :SAMPLES] = waves()
        head.bias.copy_(-0.5 * head.weight.sum(1))
        head.weight[TARGET, SAMPLES + 1] = 60
    network = nn.Sequential(conv, nn.LeakyReLU(0.03), nn.Flatten(), head)
    return Classifier(network, input_shape=(1, SAMPLES), space=space)


def click() -> Stamp:
    mask, pattern = torch.zeros(1, SAMPLES), torch.zeros(1, SAMPLES)
    mask[:, :3] = 1
    pattern[:, :3] = CLICK
    return Stamp("given", mask, pattern, "replace", (0.0, 1.0))


@pytest.mark.usefixtures("signals")
def test_it_comes_after_those_of_undoor() -> None:
    assert spaces() == (*REGISTRY, SIGNALS)
    assert space_named(SIGNALS.name) is SIGNALS
    assert space_of((64, 1)) is SIGNALS
    assert space_of((1, 64)) is OF_UNDOOR
    assert space_of((64,)) is VECTORS
    assert listener().space is SIGNALS
    assert families_for(listener()) == (CUT.name,)


def test_nothing_is_left_of_it() -> None:
    assert spaces() == REGISTRY
    assert space_of((64, 1)) is VECTORS


@pytest.mark.usefixtures("signals")
def test_it_is_scanned_repaired_guarded_exported_and_reported(tmp_path: Path) -> None:
    fresh = recordings(8, seed=5)
    stamped = stamp_set(fresh, click(), TARGET, space=SIGNALS)
    # With 16 bits, as the space says.
    steps = stamped.images * 2**15
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-2)
    found, measured, pages = go_the_whole_way(listener(), recordings(), fresh, stamped, tmp_path)
    assert found.verdict == "backdoored"
    (finding,) = found.findings
    assert (finding.target, finding.family) == (TARGET, CUT.name)
    assert measured.before["asr"].value == 1
    assert measured.after["asr"].value == 0
    assert measured.after["sia"].value == 1
    assert measured.after["acc"].value == 1
    assert (tmp_path / "scan" / f"trigger_{TARGET}.png").is_file()
    assert pages["html"].count("data:image/png") >= 3
    assert "samples" in pages["html"]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"a": "helpers.toy_space:SAMPLES"}, "to be an undoor.spaces.space.Space, got int"),
        ({"a": "helpers.toy_space:Signals"}, "to be an undoor.spaces.space.Space, got ABCMeta"),
        (
            {"a": "helpers.toy_space:SIGNALS", "b": "helpers.toy_space:SIGNALS"},
            "spaces of different names, got 'toy signals' again from the entry point b",
        ),
    ],
)
def test_what_is_no_space_is_refused(
    install: Install, points: dict[str, str], message: str
) -> None:
    install(**points)
    with pytest.raises(UndoorError, match=message):
        spaces()


def test_of_two_that_know_a_shape_one_must_be_named(install: Install) -> None:
    install(a="helpers.toy_space:SIGNALS", b="helpers.toy_space:TRACES")
    with pytest.raises(UndoorError, match="may belong to the spaces toy signals, toy traces; name"):
        Classifier(listener_network(), input_shape=(SAMPLES, 1))
    network = listener_network()
    named = Classifier(network, input_shape=(SAMPLES, 1), space="toy traces")
    assert named.space.name == "toy traces"


def listener_network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(SAMPLES, CLASSES))


@pytest.mark.usefixtures("signals")
def test_a_space_that_is_named_is_part_of_the_model() -> None:
    """Where its shape does not say it."""
    network = listener_network()
    plain = Classifier(network, input_shape=(SAMPLES, 1))
    told = Classifier(network, input_shape=(SAMPLES, 1), space="toy signals")
    other = Classifier(network, input_shape=(SAMPLES, 1), space="vectors")
    assert plain.fingerprint() == told.fingerprint() != other.fingerprint()


def test_the_space_of_the_guide_is_searched(install: Install, package: Package) -> None:
    """docs/own-space.md, as somebody would copy it."""
    package.has_example("own-space.md", "guided_traces")
    install(traces="guided_traces:TRACES", family="guided_traces:NOTCH")
    classifier = listener("traces")
    assert classifier.space.name == "traces"
    assert families_for(classifier) == ("notch",)
    picture = classifier.space.picture(classifier.examples(2))
    assert picture.dim() == 4
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
