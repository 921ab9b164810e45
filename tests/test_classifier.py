"""A network seen from raw input space."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.tiny import (
    KINDS,
    Views,
    assert_unchanged,
    random_classifier,
    random_inputs,
    snapshot,
    storages,
)
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.passes import Capacity


def linear(inputs: int = 12, classes: int = 5) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes))


def make(network: nn.Module, **options: Any) -> Classifier:
    return Classifier(network, **{"input_shape": (3, 2, 2), **options})


class Returns(nn.Module):
    """Answers with what a function makes of its input."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(x)


# Normalisation


@given(
    scale=st.floats(0.01, 300),
    mean=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    std=st.lists(st.floats(0.1, 3), min_size=3, max_size=3),
)
def test_normalisation(scale: float, mean: list[float], std: list[float]) -> None:
    network = linear()
    x = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    seen = torch.stack([(x[:, c] * scale - mean[c]) / std[c] for c in range(3)], 1)
    classifier = make(network, scale=scale, mean=mean, std=std)
    torch.testing.assert_close(classifier(x), network(seen), rtol=1e-4, atol=1e-4)


def test_one_value_for_all_channels() -> None:
    x = torch.rand(4, 3, 2, 2)
    one, three = make(linear(), mean=[0.3], std=[2]), make(linear(), mean=[0.3] * 3, std=[2] * 3)
    assert torch.equal(one(x), three(x))


def test_features() -> None:
    """Inputs need not be images; then every feature is a channel."""
    network = nn.Linear(4, 3)
    mean = [0.0, 1.0, 2.0, 3.0]
    classifier = Classifier(network, input_shape=[4], mean=mean)
    x = torch.rand(6, 4)
    assert classifier.input_shape == (4,)
    assert torch.equal(classifier(x), network(x - torch.tensor(mean)))


def test_runs_in_eval_mode_without_gradients_to_weights() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(12, 3)).half()
    classifier = make(network.train())
    x = torch.rand(8, 3, 2, 2, requires_grad=True)
    out = classifier(x)
    assert torch.equal(out, classifier(x))
    assert out.dtype == torch.float32
    assert not any(p.requires_grad for p in classifier.parameters())
    out.sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).any())


@pytest.mark.parametrize("kind", ["conv_norm", "mlp_norm"])
def test_training_mode_is_refused_in_silence(kind: str) -> None:
    """Batch statistics would change the answers, and each input the running ones."""
    classifier = random_classifier(kind)
    x = random_inputs(classifier, 5)
    before, answers = copy.deepcopy(dict(classifier.state_dict())), classifier(x)
    assert classifier.train() is classifier
    assert not any(module.training for module in classifier.modules())
    nn.Sequential(classifier).train()
    assert torch.equal(classifier(x), answers)
    assert all(torch.equal(v, before[k]) for k, v in classifier.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_caller_keeps_their_network(kind: str) -> None:
    network = random_classifier(kind).network.train().requires_grad_(True)
    before = snapshot(network)
    classifier = Classifier(network, input_shape=random_classifier(kind).input_shape)
    classifier(random_inputs(classifier, 4))
    assert_unchanged(network, before)
    assert all(p.requires_grad for p in network.parameters())
    assert not storages(network) & storages(classifier)


# Outputs


def test_classes() -> None:
    assert make(linear(classes=7)).num_classes == 7
    assert make(linear()).class_names == ("0", "1", "2", "3", "4")
    assert make(linear(classes=2), class_names=["cat", "dog"]).class_names == ("cat", "dog")


@pytest.mark.parametrize("final", [nn.Softmax(dim=1), nn.Softmax(dim=-1)])
def test_probabilities_become_logits(final: nn.Module) -> None:
    body = linear()
    classifier = make(nn.Sequential(body, final), output="probabilities")
    x = torch.rand(4, 3, 2, 2)
    assert torch.allclose(classifier(x), body(x).log_softmax(1), atol=1e-6)


def test_probabilities_from_a_function() -> None:
    body = linear()
    classifier = make(Returns(lambda x: body(x).softmax(1)), output="probabilities")
    x = torch.rand(4, 3, 2, 2)
    assert torch.allclose(classifier(x), body(x).log_softmax(1), atol=1e-5)


def test_sure_probabilities_keep_a_gradient() -> None:
    """In float32 a softmax of logits 200 apart is exactly 0 and says nothing of the way up."""
    body = linear()
    with torch.no_grad():
        body.get_parameter("1.weight").zero_()
        body.get_parameter("1.weight")[0, 0] = 1
        body.get_parameter("1.bias")[:] = torch.tensor([-200.0, 200, 0, 0, 0])
    classifier = make(nn.Sequential(body, nn.Softmax(1)), output="probabilities")
    x = torch.rand(2, 3, 2, 2, requires_grad=True)
    logits = classifier(x)
    assert bool(torch.isfinite(logits).all())
    logits[:, 0].sum().backward()
    assert x.grad is not None
    assert bool((x.grad[:, 0, 0, 0] > 0.5).all())


def test_zero_probability_is_finite() -> None:
    def sure(x: Tensor) -> Tensor:
        return torch.eye(3)[torch.zeros(len(x), dtype=torch.long)]

    logits = make(Returns(sure), output="probabilities")(torch.rand(2, 3, 2, 2))
    assert bool(torch.isfinite(logits).all())
    assert logits.argmax(1).tolist() == [0, 0]


def test_mean_of_two_softmaxes() -> None:
    """One softmax module that is called twice: its outputs are averaged, not its logarithms."""

    class Ensemble(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.softmax = linear(), nn.Flatten(), nn.Softmax(dim=1)

        def forward(self, x: Tensor) -> Tensor:
            logits = self.second(x)[:, :5]
            return (self.softmax(self.first(x)) + self.softmax(logits)) / 2

    network = Ensemble()
    x = torch.rand(4, 3, 2, 2)
    assert torch.allclose(make(network, output="probabilities")(x), network(x).log(), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_predict(batch_size: int) -> None:
    classifier = make(linear())
    x = torch.rand(7, 3, 2, 2)
    assert torch.equal(classifier.predict(x, batch_size), classifier(x).argmax(1))


# Copies and the fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_fast_copy(kind: str) -> None:
    classifier = random_classifier(kind)
    before = snapshot(classifier)
    twin = classifier.fast_copy()
    x = random_inputs(classifier, 5)
    torch.testing.assert_close(twin(x), classifier(x), rtol=1e-5, atol=1e-6)
    assert not storages(twin) & storages(classifier)
    assert twin.fingerprint() == classifier.fingerprint()
    assert_unchanged(classifier, before)
    if kind.startswith("conv"):
        weight = twin.get_parameter("network.0.weight")
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_fingerprint_is_of_the_content() -> None:
    a, b = random_classifier("conv_norm"), random_classifier("conv_norm")
    assert a.fingerprint() == b.fingerprint() == copy.deepcopy(a).fingerprint()
    assert len(a.fingerprint()) == 64
    assert random_classifier("conv_norm", seed=1).fingerprint() != a.fingerprint()


@pytest.mark.parametrize("key", list(random_classifier("conv_norm").network.state_dict()))
def test_fingerprint_sees_every_tensor(key: str) -> None:
    classifier = random_classifier("conv_norm")
    before = classifier.fingerprint()
    tensor = classifier.network.state_dict()[key].view(-1)
    tensor[-1] += 1
    assert classifier.fingerprint() != before


@pytest.mark.parametrize(
    "options",
    [
        {"bounds": (0, 255)},
        {"scale": 1 / 255},
        {"mean": [0.5]},
        {"std": [0.5]},
        {"mean": [0.0, 0.1, 0.0]},
    ],
)
def test_fingerprint_sees_the_input_transform(options: dict[str, Any]) -> None:
    assert make(linear(), **options).fingerprint() != make(linear()).fingerprint()


# Refusals


@pytest.mark.parametrize("bounds", [(1, 0), (0, 0), (0, float("nan"))])
def test_bounds(bounds: tuple[float, float]) -> None:
    with pytest.raises(UndoorError, match="bounds must be"):
        make(linear(), bounds=bounds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": [1, 0, 1]}, "std must be positive"),
        ({"std": [-1]}, "std must be positive"),
        ({"mean": [0, 0]}, "mean must have one value or one for each of the 3 channels, got 2"),
        ({"mean": [float("nan")]}, "mean must be finite"),
        ({"std": [float("inf")]}, "std must be finite"),
        ({"output": "scores"}, "output must be"),
        ({"class_names": ["a", "b"]}, "2 class names .* 5 classes"),
        ({"output": "probabilities"}, "do not sum to 1"),
        ({"input_shape": (3, 3, 3)}, "failed on an input of shape .2, 3, 3, 3."),
        ({"scale": float("nan")}, "NaN or infinity"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        make(linear(), **options)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: (x, x), "got tuple"),
        (lambda x: x, r"got \(2, 3, 2, 2\)"),
        (lambda x: x.flatten(1)[:, :1], r"got \(2, 1\)"),
        (lambda x: x.flatten(1) / 0, "NaN or infinity"),
        (lambda x: (x.flatten(1) - 2).log(), "NaN or infinity"),
    ],
)
def test_answers_that_are_no_logits(answer: Any, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        make(Returns(answer))


def test_negative_probabilities() -> None:
    def answer(x: Tensor) -> Tensor:
        return torch.tensor([1.5, -0.5]).expand(len(x), 2)

    with pytest.raises(UndoorError, match="do not sum to 1"):
        make(Returns(answer), output="probabilities")


def test_probabilities_are_no_logits() -> None:
    with pytest.raises(UndoorError, match="set output = 'probabilities'"):
        make(nn.Sequential(linear(), nn.Softmax(1)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_are_named(value: float) -> None:
    network = linear()
    with torch.no_grad():
        network.get_parameter("1.bias")[0] = value
    with pytest.raises(UndoorError, match=r"NaN or infinite values \(1\.bias\)"):
        make(network)


class Stateful(nn.Flatten):
    """A checkpoint's entry that is no tensor."""

    def get_extra_state(self) -> Any:
        return {"steps": 3, "scale": torch.ones(2)}

    def set_extra_state(self, state: Any) -> None:
        pass


def quantised(value: float) -> Tensor:
    return torch.quantize_per_tensor(torch.tensor([value]), 0.5, 0, torch.qint8)


def with_buffer(buffer: Tensor) -> nn.Module:
    network = linear()
    network.register_buffer("held", buffer)
    return network


STRANGE_BUFFERS: dict[str, Callable[[], Tensor]] = {
    "coo": lambda: torch.eye(3).to_sparse(),
    "quantised": lambda: quantised(1.0),
    "conjugate": lambda: torch.ones(2, dtype=torch.complex64).conj(),
}


@pytest.mark.filterwarnings("ignore:torch.quantize_per", "ignore:TypedStorage")
@pytest.mark.parametrize("kind", STRANGE_BUFFERS)
def test_buffers_of_any_kind(kind: str) -> None:
    buffer = STRANGE_BUFFERS[kind]()
    x = torch.rand(2, 3, 2, 2)
    classifier = make(with_buffer(buffer))
    assert torch.equal(classifier(x), linear()(x))
    assert classifier.fingerprint() == make(with_buffer(buffer)).fingerprint()


def test_extra_state_that_is_no_tensor() -> None:
    x = torch.rand(2, 3, 2, 2)
    assert torch.equal(make(nn.Sequential(Stateful(), linear()[1]))(x), linear()(x))


def test_sparse_buffers_that_are_broken() -> None:
    buffer = torch.diag(torch.tensor([1.0, float("nan")])).to_sparse()
    with pytest.raises(UndoorError, match=r"NaN or infinite values \(held\)"):
        make(with_buffer(buffer))


def test_errors_are_one_line() -> None:
    def fail(_: Tensor) -> Tensor:
        raise RuntimeError("first\nsecond")

    with pytest.raises(UndoorError) as caught:
        make(Returns(fail))
    assert "first" in str(caught.value)
    assert "\n" not in str(caught.value)


class Rows(nn.Module):
    """Flattens the input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(108, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x.view(x.size(0), -1))


@pytest.mark.parametrize("network", [Views(), Rows()])
def test_fast_copy_of_a_network_that_takes_views(network: nn.Module) -> None:
    classifier = Classifier(network, input_shape=(3, 6, 6))
    twin = classifier.fast_copy()
    x = torch.rand(5, 3, 6, 6)
    assert torch.allclose(twin(x), classifier(x), atol=1e-6)
    assert twin.memory_format == torch.contiguous_format
    assert not any(module._forward_hooks for module in twin.modules())
    other = random_classifier("conv").fast_copy()
    assert other.memory_format == torch.channels_last
    assert not any(module._forward_hooks for module in other.modules())


class Record(nn.Module):
    """Returns its scores inside of something."""

    def __init__(self, pack: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.inner = linear()
        self.pack = pack

    def forward(self, x: Tensor) -> object:
        return self.pack(self.inner(x))


@pytest.mark.parametrize(
    "pack",
    [lambda z: {"logits": z, "loss": None}, lambda z: SimpleNamespace(logits=z, hidden_states=())],
)
def test_scores_may_come_in_a_record(pack: Callable[[Tensor], object]) -> None:
    x = torch.rand(4, 3, 2, 2)
    classifier = Classifier(Record(pack), input_shape=(3, 2, 2))
    assert torch.equal(classifier(x), Classifier(linear(), input_shape=(3, 2, 2))(x))
    assert classifier.get_submodule("network.network.inner")
    assert classifier.fingerprint() == classifier.fast_copy().fingerprint()


@pytest.mark.parametrize("pack", [lambda z: (z, z), lambda z: {"scores": z}, lambda _: "scores"])
def test_other_records_are_refused(pack: Callable[[Tensor], object]) -> None:
    with pytest.raises(UndoorError, match="returns only the class scores"):
        Classifier(Record(pack), input_shape=(3, 2, 2))


@pytest.mark.parametrize("twin", [lambda c: c.limited(Capacity(2, 4)), lambda c: c.with_gain(2.0)])
def test_what_is_done_to_a_variant_leaves_the_original(
    twin: Callable[[Classifier], Classifier], classifier: Classifier
) -> None:
    """Modules are its own; weights are shared."""
    before = dict(classifier.named_modules())
    other = twin(classifier)
    assert next(other.parameters()) is next(classifier.parameters())
    other.entry = nn.ReLU()
    other.network.extra = nn.ReLU()
    assert dict(classifier.named_modules()) == before
