"""Places to correct, and corrections put there and taken away."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

from helpers.tiny import (
    KINDS,
    Alias,
    assert_unchanged,
    random_classifier,
    random_inputs,
    snapshot,
    storages,
)
from undoor.align.transform import Correction
from undoor.classifier import ENTRY, Classifier
from undoor.errors import UndoorError
from undoor.sites import (
    Site,
    SiteInfo,
    attach,
    channels_last,
    detach,
    exchange,
    find_sites,
    insert,
    shared_copy,
)
from undoor.sites.heads import find_heads


def halve(shape: tuple[int, ...]) -> Correction:
    """z / 2 + 0.1, clipped far out."""
    one = torch.ones(shape[0], *[1] * (len(shape) - 1))
    return Correction(0.5 * one, 0.1 * one, -50 * one, 50 * one)


def halves(classifier: Classifier) -> dict[str, nn.Module]:
    return {site.name: halve(site.shape) for site in find_sites(classifier)}


# Finding


@pytest.mark.parametrize(
    ("kind", "sites"),
    [
        ("conv_norm", {"network.1": (5, 6, 6), "network.3.1": (4, 2, 2)}),
        ("conv", {"network.0": (5, 6, 6), "network.2": (4, 2, 2)}),
        ("mlp_norm", {"network.1": (12,)}),
        ("mlp", {"network.0": (12,)}),
    ],
)
def test_sites(kind: str, sites: dict[str, tuple[int, ...]]) -> None:
    classifier = random_classifier(kind)
    before = snapshot(classifier)
    found = find_sites(classifier)
    assert found[0] == SiteInfo(ENTRY, classifier.input_shape)
    assert {site.name: site.shape for site in found[1:]} == sites
    assert [site.name for site in found[1:]] == list(sites)
    assert_unchanged(classifier, before)


def test_instance_norms_of_rows_are_sites() -> None:
    layers = (nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 3, 1), nn.InstanceNorm1d(3), nn.Flatten())
    classifier = Classifier(nn.Sequential(*layers, nn.Linear(12, 3)), input_shape=(8,))
    assert find_sites(classifier)[1:] == (SiteInfo("network.2", (3, 4)),)


@pytest.mark.parametrize(
    ("shape", "extent"),
    [((3, 8, 4), 8), ((3, 4, 8), 8), ((3, 5), 3), ((3, 64), 8), ((7,), 1), ((9, 1, 1), 1)],
)
def test_extent(shape: tuple[int, ...], extent: int) -> None:
    assert SiteInfo("a", shape).extent == extent


class Backwards(nn.Module):
    """Runs its layers in another order than it names them."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)
        self.early = nn.BatchNorm1d(5)
        self.unused = nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.late(self.early(x).relu()))


class Twice(nn.Module):
    """Uses one norm at two places, and another at one."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.BatchNorm1d(5)
        self.again = self.shared
        self.once = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.once(self.again(self.shared(x).relu())))


class TwoViews(nn.Module):
    """Averages the logits of an input and its mirror image; no norm."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(5, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        return self.head(h.relu()) + self.head((-h).relu())


def test_order_is_that_of_execution() -> None:
    names = [site.name for site in find_sites(Classifier(Backwards(), input_shape=(5,)))]
    assert names == [ENTRY, "network.early", "network.late"]


def test_modules_called_twice_are_left_out() -> None:
    names = [site.name for site in find_sites(Classifier(Twice(), input_shape=(5,)))]
    assert names == [ENTRY, "network.once"]


def test_head_that_runs_twice_costs_no_other_site() -> None:
    names = [site.name for site in find_sites(Classifier(TwoViews(), input_shape=(5,)))]
    assert names == [ENTRY, "network.body"]


@pytest.mark.parametrize("network", [Backwards, Twice, TwoViews, Alias])
def test_every_site_has_an_effect(network: type[nn.Module]) -> None:
    """A correction of any site that is offered changes the logits."""
    torch.manual_seed(0)
    classifier = Classifier(network(), input_shape=(5,))
    x = torch.rand(8, 5)
    for site in find_sites(classifier):
        corrected = attach(classifier, {site.name: halve(site.shape)})
        assert not torch.allclose(corrected(x), classifier(x)), site.name


def test_no_layers_but_the_last() -> None:
    classifier = Classifier(nn.Linear(4, 3), input_shape=(4,))
    assert find_sites(classifier) == (SiteInfo(ENTRY, (4,)),)


# Attaching


@pytest.mark.parametrize("kind", KINDS)
def test_attach_corrects_the_output_of_each_site(kind: str) -> None:
    """Against hooks, which do the same where nothing is compiled."""
    classifier = random_classifier(kind)
    corrections = halves(classifier)
    hooked = copy.deepcopy(classifier)
    for name, correction in corrections.items():
        hooked.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, h=correction: h(output)
        )
    x = random_inputs(classifier, 6)
    corrected = attach(classifier, corrections)
    assert torch.equal(corrected(x), hooked(x))
    assert not torch.allclose(corrected(x), classifier(x))


@pytest.mark.parametrize("kind", KINDS)
def test_attach_shares_weights_but_not_modules(kind: str) -> None:
    classifier = random_classifier(kind)
    before = snapshot(classifier)
    x = random_inputs(classifier, 4)
    logits = classifier(x)
    corrections = halves(classifier)
    corrected = attach(classifier, corrections)
    own = set().union(*(storages(correction) for correction in corrections.values()))
    assert storages(corrected) - own == storages(classifier)
    modules = {id(module) for module in classifier.modules()}
    assert not any(id(module) in modules for module in corrected.modules())
    assert_unchanged(classifier, before)
    assert torch.equal(classifier(x), logits)
    # One set of weights: what changes here changes there.
    with torch.no_grad():
        classifier.get_parameter("network.0.weight").zero_()
    assert not bool(corrected.get_parameter(weight_name(corrected)).any())


def weight_name(module: nn.Module) -> str:
    return next(name for name, _ in module.named_parameters() if name.startswith("network.0"))


def test_attach_nothing() -> None:
    classifier = random_classifier("conv")
    x = random_inputs(classifier, 3)
    assert torch.equal(attach(classifier, {})(x), classifier(x))


def test_attach_refuses_an_unknown_site() -> None:
    classifier = random_classifier("conv")
    before = snapshot(classifier)
    with pytest.raises(UndoorError, match=r"no site 'network\.9'"):
        attach(classifier, {ENTRY: halve((3, 6, 6)), "network.9": halve((3, 6, 6))})
    assert_unchanged(classifier, before)


@pytest.mark.parametrize("kind", KINDS)
def test_detach_inverts_attach(kind: str) -> None:
    classifier = random_classifier(kind)
    corrected = attach(classifier, halves(classifier))
    before = snapshot(corrected)
    plain = detach(corrected)
    x = random_inputs(classifier, 5)
    assert torch.equal(plain(x), classifier(x))
    assert list(plain.state_dict()) == list(classifier.state_dict())
    assert [type(m) for m in plain.modules()] == [type(m) for m in classifier.modules()]
    assert storages(plain) == storages(classifier)
    assert_unchanged(corrected, before)


def test_detach_of_a_plain_network() -> None:
    classifier = random_classifier("mlp")
    assert not any(isinstance(m, Site) for m in detach(classifier).modules())
    x = random_inputs(classifier, 3)
    assert torch.equal(detach(classifier)(x), classifier(x))


def test_shared_copy() -> None:
    classifier = random_classifier("conv_norm")
    twin = shared_copy(classifier)
    assert storages(twin) == storages(classifier)
    assert twin.network is not classifier.network
    assert isinstance(twin.network, nn.Sequential)
    twin.network[0] = nn.Identity()
    assert isinstance(classifier.get_submodule("network.0"), nn.Conv2d)


# State dicts


@pytest.mark.parametrize("kind", KINDS)
def test_keys(kind: str) -> None:
    classifier = random_classifier(kind)
    corrections = halves(classifier)
    state, plain = attach(classifier, corrections).state_dict(), classifier.state_dict()
    expected = {}
    for key, value in plain.items():
        module, _, last = key.rpartition(".")
        expected[f"{module}.inner.{last}" if module in corrections else key] = value
    for name, correction in corrections.items():
        for part in ("scale", "shift", "low", "high"):
            expected[f"{name}.correction.{part}"] = getattr(correction, part)
    assert set(state) == set(expected)
    assert all(torch.equal(state[key], value) for key, value in expected.items())


@pytest.mark.parametrize("kind", KINDS)
def test_bare_and_corrected_state_do_not_mix(kind: str) -> None:
    classifier = random_classifier(kind)
    corrected = attach(classifier, halves(classifier))
    with pytest.raises(RuntimeError, match=r"Missing key.*entry\.correction\.scale"):
        corrected.load_state_dict(classifier.state_dict())
    with pytest.raises(RuntimeError, match=r"Unexpected key.*entry\.correction\.scale"):
        random_classifier(kind).load_state_dict(corrected.state_dict())


def test_a_single_correction_is_enough_to_refuse() -> None:
    classifier = random_classifier("conv_norm")
    corrected = attach(classifier, {"network.3.1": halve((4, 2, 2))})
    with pytest.raises(RuntimeError, match="Missing key"):
        corrected.load_state_dict(classifier.state_dict())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        classifier.load_state_dict(corrected.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_forced_state_is_no_network_without_its_corrections(kind: str) -> None:
    """Who overrides the refusal in plain torch does not get the backdoored network again."""
    classifier = random_classifier(kind, seed=0)
    corrections = halves(classifier)
    del corrections["entry"]
    bare = copy.deepcopy(random_classifier(kind, seed=1).network)
    before = bare.state_dict()
    told = bare.load_state_dict(attach(classifier, corrections).network.state_dict(), strict=False)
    names = [name.removeprefix("network.") for name in corrections]
    assert names
    for name in names:
        own = [
            key
            for key in before
            if key.startswith(f"{name}.") and not key.endswith("num_batches_tracked")
        ]
        assert set(own) <= set(told.missing_keys)
        assert f"{name}.correction.scale" in told.unexpected_keys
        for key in own:
            assert not torch.equal(bare.state_dict()[key], classifier.network.state_dict()[key])


@pytest.mark.parametrize("kind", KINDS)
def test_corrected_state_loads_into_a_corrected_network(kind: str) -> None:
    source = random_classifier(kind, seed=0)
    corrected = attach(source, halves(source))
    other = random_classifier(kind, seed=1)
    zeros = {name: copy.deepcopy(correction) for name, correction in halves(other).items()}
    for correction in zeros.values():
        for buffer in correction.buffers():
            buffer.zero_()
    target = attach(other, zeros)
    state = corrected.state_dict()
    keys = list(state)
    target.load_state_dict(state)
    assert list(state) == keys
    x = random_inputs(source, 5)
    assert torch.equal(target(x), corrected(x))


def test_state_of_one_site_alone() -> None:
    site = Site(nn.Linear(3, 2), halve((2,)))
    keys = [
        "inner.weight",
        "inner.bias",
        *(f"correction.{p}" for p in ("scale", "shift", "low", "high")),
    ]
    assert list(site.state_dict()) == keys
    other = Site(nn.Linear(3, 2), halve((2,)))
    other.load_state_dict(site.state_dict())
    assert torch.equal(other.inner.get_parameter("weight"), site.inner.get_parameter("weight"))


# Copies


def pickled(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def saved(module: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("through", [copy.deepcopy, pickled, saved])
def test_copies(kind: str, through: object) -> None:
    assert callable(through)
    classifier = random_classifier(kind)
    corrected = attach(classifier, halves(classifier))
    twin = through(corrected)
    x = random_inputs(classifier, 5)
    assert torch.equal(twin(x), corrected(x))
    assert not storages(twin) & storages(corrected)
    assert list(twin.state_dict()) == list(corrected.state_dict())
    for tensor in twin.state_dict().values():
        tensor.zero_()
    twin.load_state_dict(corrected.state_dict())
    assert torch.equal(twin(x), corrected(x))
    assert torch.equal(detach(twin)(x), classifier(x))


# Changes inside


@pytest.mark.parametrize("kind", KINDS)
def test_insert_changes_what_a_site_delivers(kind: str) -> None:
    """At the input it is the change of the input; inside, that of the module's output."""
    classifier = random_classifier(kind)
    x = random_inputs(classifier, 5)
    halved = insert(classifier, "entry", lambda z: z / 2)
    assert torch.allclose(halved(x), classifier(x / 2), atol=1e-6)
    site = find_sites(classifier)[-1].name
    silent = insert(classifier, site, torch.zeros_like)
    assert torch.equal(silent(x)[0], silent(x)[1])
    assert not torch.equal(classifier(x)[0], classifier(x)[1])


def test_insert_comes_before_a_correction() -> None:
    """What a trigger does at a site, the correction there sees: a constant one hides it."""
    classifier = random_classifier("conv_norm")
    x = random_inputs(classifier, 5)
    name = find_sites(classifier)[1].name
    constant = Correction(*(torch.tensor(value) for value in (0.0, 1.0, -9.0, 9.0)))
    corrected = attach(classifier, {name: constant})
    shifted = insert(corrected, name, lambda z: z + 100)
    assert torch.allclose(shifted(x), corrected(x), atol=1e-6)
    assert not torch.allclose(insert(classifier, name, lambda z: z + 100)(x), classifier(x))


def test_insert_names_a_missing_site() -> None:
    with pytest.raises(UndoorError, match="no site 'nowhere'"):
        insert(random_classifier("conv"), "nowhere", torch.zeros_like)


# Other modules


class Negative(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor) -> Tensor:
        return -self.inner(z)


@pytest.mark.parametrize("kind", KINDS)
def test_exchange(kind: str) -> None:
    """The wrapped module stands in the copy alone, and uses the same weights."""
    classifier = random_classifier(kind)
    before = snapshot(classifier)
    x = random_inputs(classifier, 5)
    name = find_heads(classifier)[0].name
    changed = exchange(classifier, name, Negative)
    assert torch.equal(changed(x), -classifier(x))
    assert isinstance(changed.get_submodule(name), Negative)
    assert storages(changed) == storages(classifier)
    assert_unchanged(classifier, before)


def test_exchange_under_all_names() -> None:
    """A layer that runs under another name than the one it is called by."""
    classifier = Classifier(Alias(), input_shape=(5,))
    changed = exchange(classifier, "network.norm", Negative)
    x = torch.rand(4, 5)
    layers = classifier.get_submodule("network.layers")
    assert isinstance(layers, nn.Sequential)
    assert torch.allclose(changed(x), layers[2]((-layers[0](x)).relu()))
    assert not torch.allclose(changed(x), classifier(x))


def test_exchange_names_a_missing_module() -> None:
    with pytest.raises(UndoorError, match="no site 'nowhere'"):
        exchange(random_classifier("conv"), "nowhere", Negative)


class FirstNorm(nn.LayerNorm):
    """Normalises the channels of [N, C, H, W], as some libraries derive it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("module", "last"),
    [
        (nn.LayerNorm(4), True),
        (nn.LayerNorm(4, elementwise_affine=False), True),
        (nn.RMSNorm(4), True),
        (nn.LayerNorm((4, 8, 8)), False),
        (FirstNorm(4), False),
        (nn.GroupNorm(2, 4), False),
        (nn.BatchNorm1d(4), False),
        (nn.Linear(2, 4), True),
        (nn.Conv1d(2, 4, 1), False),
        (Site(nn.LayerNorm(4), nn.Identity()), True),
    ],
)
def test_channels_last(module: nn.Module, last: bool) -> None:
    assert channels_last(module) is last


class Tokens(nn.Module):
    """Patches as tokens [N, T, C] beside a class token, with attention and norms."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.before = nn.LayerNorm(4)
        self.mix = nn.MultiheadAttention(4, 2, batch_first=True)
        self.after = nn.LayerNorm(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.patches(x).flatten(2).transpose(1, 2)
        z = torch.cat([self.token.expand(len(z), -1, -1), z], 1)
        y = self.before(z)
        z = z + self.mix(y, y, y)[0]
        return self.head(self.after(z)[:, 0])


def test_tokens_are_corrected_channel_by_channel() -> None:
    torch.manual_seed(0)
    classifier = Classifier(Tokens(), input_shape=(3, 4, 4))
    names = ["network.before", "network.after"]
    assert find_sites(classifier)[1:] == tuple(SiteInfo(name, (4, 5)) for name in names)
    assert [head.name for head in find_heads(classifier)] == ["network.head"]
    x = torch.rand(2, 3, 4, 4)
    scale, shift = torch.tensor([1.0, 2, 3, 4]), torch.tensor([4.0, 3, 2, 1])
    bound = torch.full((4, 1), torch.inf)
    correction = Correction(scale[:, None], shift[:, None], -bound, bound)
    network = copy.deepcopy(classifier.network)
    network.get_parameter("after.weight").mul_(scale)
    network.get_parameter("after.bias").mul_(scale).add_(shift)
    folded = Classifier(network, input_shape=(3, 4, 4))
    assert torch.allclose(attach(classifier, {names[1]: correction})(x), folded(x), atol=1e-6)


def test_changes_see_the_channels_first() -> None:
    torch.manual_seed(0)
    classifier = Classifier(Tokens(), input_shape=(3, 4, 4))
    seen: list[Tensor] = []

    def look(z: Tensor) -> Tensor:
        seen.append(z)
        return z

    x = torch.rand(2, 3, 4, 4)
    corrected = attach(classifier, {"network.before": nn.Identity()})
    assert torch.equal(insert(corrected, "network.before", look)(x), classifier(x))
    assert seen[0].shape == (2, 4, 5)
    assert torch.equal(detach(corrected)(x), classifier(x))
