"""Wrappers that show a scan a clean network are named; ordinary networks are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers import graph_work as work
from helpers.ordinary_networks import ORDINARY, ordinary
from helpers.tiny import clean_images, random_classifier, toy_classifier, true_trigger
from helpers.wrapped_networks.by_batch_size import SingleImages
from helpers.wrapped_networks.by_circumstances import Absorbed, BatchStatistics, Noisy
from helpers.wrapped_networks.by_gradients import OthersGradient
from helpers.wrapped_networks.by_input import RedPixel
from helpers.wrapped_networks.every import WRAPPED
from helpers.wrapped_networks.wrapped import SHAPE, Wrapped
from undoor.classifier import Classifier
from undoor.inversion.meter import Meter
from undoor.load import load
from undoor.render.reasons import reason_texts
from undoor.scan import run
from undoor.scan.reason import written
from undoor.scan.search import SearchResult
from undoor.scrutiny import Scrutiny, depends_on_batch_or_chance, read_graph, scripts, scrutinise

WRITERS: dict[str, Callable[[nn.Module, Path], Path]] = {
    "script": lambda network, folder: work.script(network, folder / "m.pt"),
    "pt2": lambda network, folder: work.pt2(network, folder / "m.pt2"),
    "decomposed": lambda network, folder: work.pt2(network, folder / "m.pt2", decomposed=True),
    "onnx": lambda network, folder: work.onnx(network, folder / "m.onnx"),
}
AS_FILES = [
    (kind, form, codes)
    for kind, forms, codes in WRAPPED
    for form in forms.split()
    # Refused when it is opened: what a conversion answers differs from pass to pass, or it has no
    # counterpart in PyTorch.
    if (kind.__name__, form)
    not in {
        ("Noisy", "pt2"),
        ("GatheredScores", "onnx"),
        ("CentredByBatch", "onnx"),
        ("PreviousInput", "onnx"),
        ("OwnRank", "onnx"),
    }
]
FAST = {"RedPixel", "SingleImages", "CountedOnes", "OthersGradient", "NoGradPart"}


def _name(value: object) -> str:
    return value.__name__ if isinstance(value, type) else ""


def found_in(classifier: Classifier, x: Tensor | None = None) -> Scrutiny:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scrutinise(classifier, clean_images(3).images if x is None else x)


def codes(found: Scrutiny) -> set[str]:
    return {item.code for item in found.graph} | {item.code for item in found.disagreements}


@pytest.mark.parametrize(("kind", "_forms", "expected"), WRAPPED, ids=_name)
def test_wrapped_modules_are_named(kind: type[Wrapped], _forms: str, expected: set[str]) -> None:
    found = found_in(Classifier(kind(), input_shape=SHAPE))
    assert codes(found) & expected
    assert len(found.sentences) == len(found.graph) + len(found.disagreements)


def _as_file(network: nn.Module, form: str, folder: Path) -> Classifier:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(WRITERS[form](network.eval(), folder), input_shape=SHAPE)


@pytest.mark.parametrize(
    ("kind", "form", "expected"),
    [
        pytest.param(
            kind, form, expected, id=f"{kind.__name__}-{form}",
            marks=() if kind.__name__ in FAST else pytest.mark.slow,
        )
        for kind, form, expected in AS_FILES
    ],
)  # fmt: skip
def test_wrapped_files_are_named(
    kind: type[Wrapped], form: str, expected: set[str], tmp_path: Path
) -> None:
    assert codes(found_in(_as_file(kind(), form, tmp_path))) & expected


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_modules_get_no_reason(name: str) -> None:
    assert found_in(Classifier(ordinary(name), input_shape=SHAPE)).sentences == ()


# What the converters and torch.jit cannot take, before undoor sees it.
NOT_WRITTEN = {
    ("Attention", "script"), ("SpaceToDepth", "script"), ("Rows", "decomposed"),
    ("Helped", "script"),
    *(("Prototypes", form) for form in WRITERS),
    *((name, "onnx") for name in (
        "GELU", "Mish", "AdaptiveMaxPool2d", "LocalResponseNorm", "ReflectionPad2d", "WrittenOut",
        "Shuffled", "Rows",
    )),
}  # fmt: skip


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("Attention", "toy") else pytest.mark.slow)
        for name in ORDINARY
    ],
)
def test_ordinary_files_get_no_reason(name: str, form: str, tmp_path: Path) -> None:
    if (name, form) in NOT_WRITTEN:
        pytest.skip("cannot be written, or opened, in this format")
    assert found_in(_as_file(ordinary(name), form, tmp_path)).sentences == ()


@pytest.mark.parametrize("kind", ["conv_norm", "conv", "mlp_norm", "mlp"])
def test_vectors_and_random_inputs(kind: str) -> None:
    classifier = random_classifier(kind)
    assert scrutinise(classifier).sentences == ()


def test_probabilities_get_no_reason() -> None:
    network = nn.Sequential(ordinary("BatchNorm2d"), nn.Softmax(1))
    classifier = Classifier(network, input_shape=SHAPE, output="probabilities")
    assert found_in(classifier).sentences == ()


def test_cost_and_no_trace() -> None:
    """Few passes; neither the network nor the random numbers of the program are touched."""
    meter = Meter()
    classifier = toy_classifier(backdoored=True, norm=True)
    stamped = true_trigger()(clean_images(3).images)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    state = torch.get_rng_state()
    counted = classifier.counted(meter)
    found = scrutinise(counted, clean_images(3).images, triggered=[stamped] * 3)
    assert found.sentences == ()
    assert 0 < meter.passes < 1500
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[n]) for n, value in classifier.state_dict().items())


@pytest.mark.parametrize("kind", [BatchStatistics, Noisy, SingleImages])
def test_a_few_passes_show_batches_and_chance(kind: type[Wrapped]) -> None:
    (found,) = depends_on_batch_or_chance(Classifier(kind(), input_shape=SHAPE))
    assert found.code in ("batch", "repeat")
    assert depends_on_batch_or_chance(toy_classifier(backdoored=True)) == ()


def test_scores_of_any_scale_get_no_reason() -> None:
    for scale in (1e-6, 1e6):
        network = ordinary("Attention")
        with torch.no_grad():
            network.get_parameter("out.weight").mul_(scale)
            network.get_parameter("out.bias").mul_(scale)
        assert found_in(Classifier(network, input_shape=SHAPE)).sentences == ()


def test_gradients_on_the_triggers() -> None:
    """Another's gradients where the trigger is, and only there."""

    class There(Wrapped):
        def forward(self, x: Tensor) -> Tensor:
            bright = ((x.amax((1, 2, 3)) - 0.95) * 100).clamp(0, 1)[:, None].detach()
            good, bad = self.good(x), self.bad(x)
            borrowed = bad.detach() - good.detach() + good
            return good * (1 - bright) + borrowed * bright

    classifier = Classifier(There(), input_shape=SHAPE)
    clean = clean_images(3).images
    dim = clean * 0.9
    found = scrutinise(classifier, dim, triggered=[true_trigger()(dim)])
    assert "gradient" in {item.code for item in found.disagreements} or "gate" in codes(found)


def test_a_trigger_hidden_from_bfloat16() -> None:
    """Clean inputs, and patches in their corners, are the same to it in every precision."""
    found = found_in(Classifier(Absorbed(), input_shape=SHAPE))
    assert codes(found) == {"precision"}


def test_where_and_what(tmp_path: Path) -> None:
    first, *_ = read_graph(Classifier(RedPixel(), input_shape=SHAPE))
    assert "by_input.py:" in first.where
    exported = _as_file(RedPixel(), "pt2", tmp_path)
    assert any("node " in item.where for item in read_graph(exported))
    scripted = _as_file(SingleImages(), "script", tmp_path)
    (item,) = (f for f in read_graph(scripted) if f.what == "prim::If")
    assert item.code == "batch_size"
    assert "by_batch_size.py:" in item.where
    assert item.sentence.startswith("the network uses the number of inputs in the batch")


SEARCHED = written("what the search says")


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the search itself, which takes most of the time, end in a verdict at once."""

    def end_in(verdict: Any) -> None:
        found = SearchResult(verdict, (SEARCHED,))
        monkeypatch.setattr(run, "search_and_decide", lambda *_: found)

    return end_in


def test_the_verdict(searched: Callable[[str], None]) -> None:
    """Never clean; clean again where the user has looked at the graph."""
    searched("clean")
    clean = clean_images()
    red = Classifier(RedPixel(), input_shape=SHAPE)
    report = run.scan(red, clean)
    assert report.verdict == "inconclusive"
    assert "compares values computed from the input" in reason_texts(report)[0]
    assert "--accept-graph" in reason_texts(report)[0]
    accepted = run.scan(red, clean, accept_graph=True, accept_coverage="partial")
    assert accepted.verdict == "clean"
    assert any(reason.startswith("accepted: ") for reason in reason_texts(accepted))
    assert run.scan(toy_classifier(backdoored=False), clean).reasons == (SEARCHED,)


def test_a_disagreement_is_not_accepted(searched: Callable[[str], None]) -> None:
    searched("clean")
    alone = Classifier(SingleImages(), input_shape=SHAPE)
    report = run.scan(alone, clean_images(), accept_graph=True)
    assert report.verdict == "inconclusive"
    assert "predictions depend on the other inputs of the batch" in reason_texts(report)[0]


@pytest.mark.parametrize("verdict", ["backdoored", "inconclusive"])
def test_other_verdicts_stay(verdict: str, searched: Callable[[str], None]) -> None:
    searched(verdict)
    report = run.scan(Classifier(RedPixel(), input_shape=SHAPE), clean_images())
    assert (report.verdict, report.reasons[0]) == (verdict, SEARCHED)
    assert "compares values" in reason_texts(report)[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [RedPixel, SingleImages, OthersGradient])
def test_whole_scans_of_wrapped_networks(kind: type[Wrapped]) -> None:
    report = run.scan(Classifier(kind(), input_shape=SHAPE), clean_images())
    assert report.verdict == "inconclusive"


def test_names_of_an_archive_are_plain() -> None:
    """Source ranges of TorchScript are whatever its maker wrote."""

    class Node:
        def sourceRange(self) -> str:  # noqa: N802
            return 'File "/tmp/\x1b[2J<b>net.py", line 7, in forward\n    x\n    ~ <--- HERE\n'

    assert scripts._place(Node()) == "??2J?b?net.py:7"
