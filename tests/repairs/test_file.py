"""A repair as one file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load

from helpers.made_repairs import calibration, make_repair
from helpers.tiny import (
    TARGET,
    clean_images,
    random_classifier,
    random_inputs,
    toy_classifier,
    true_trigger,
)
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.identity.model import identify
from undoor.repairs.adaptation import Adaptation
from undoor.repairs.encoding import SCHEMA
from undoor.repairs.record import Repair
from undoor.sealed import sealed
from undoor.triggers import Latent, Stamp, Tone, Trigger, Warp
from undoor.vocabulary import REPAIR_DESCRIPTION, REPAIR_FILE


@pytest.fixture
def model() -> Classifier:
    return random_classifier("conv_norm")


@pytest.fixture
def file(tmp_path: Path, model: Classifier) -> Path:
    return make_repair(model).save(tmp_path / "a.safetensors")


def opened(file: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    with safe_open(file, "pt") as archive:
        (text,) = archive.metadata().values()
    return json.loads(text)["content"], load(file.read_bytes())


def same(old: Repair, new: Repair, model: Classifier) -> None:
    assert replace(new, seconds=old.seconds).to_json() == old.to_json()
    assert new.sha256() == old.sha256()
    x = random_inputs(model, 40)
    for a, b in zip(old.targets, new.targets, strict=True):
        assert list(b.corrections) == list(a.corrections)
        assert (b.sites, b.trials, b.sources) == (a.sites, a.trials, a.sources)
        assert b.calibration == a.calibration
        for name, h in a.corrections.items():
            assert b.corrections[name].parts.keys() == h.parts.keys()
            for part in h.parts:
                assert torch.equal(getattr(b.corrections[name], part), getattr(h, part))
        inside = torch.rand(2, 5, 6, 6) if isinstance(a.trigger, Latent) else x
        assert torch.equal(b.trigger(inside), a.trigger(inside))
        assert (b.trigger.bounds, b.trigger.family) == (a.trigger.bounds, a.trigger.family)
    for before, after in zip(guard(model, old).logits(x), guard(model, new).logits(x), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("kind", ["conv_norm", "conv", "mlp_norm"])
@pytest.mark.parametrize("name", ["fix", "fix.safetensors"])
def test_round_trip(tmp_path: Path, kind: str, name: str) -> None:
    model = random_classifier(kind)
    made = make_repair(model)
    written = made.save(tmp_path / name)
    same(made, Repair.load(tmp_path / name, model), model)
    same(made, Repair.load(written), model)


def test_round_trip_of_a_real_repair(tmp_path: Path, toy_repair: Repair) -> None:
    toy_repair.save(tmp_path)
    model = toy_classifier(backdoored=True, norm=True)
    back = Repair.load(tmp_path, model)
    x = true_trigger()(clean_images(5).images)
    expected, got = guard(model, toy_repair)(x), guard(model, back)(x)
    assert bool(got[1].any())
    for a, b in zip(expected, got, strict=True):
        assert torch.equal(a, b)
    assert back.targets[0].target == TARGET
    assert back.sha256() == toy_repair.sha256()


@pytest.mark.parametrize(
    "trigger",
    [
        Stamp("additive", torch.zeros(1, 6, 6), torch.rand(3, 6, 6) - 0.5, "add", (-20, 255)),
        Stamp("blend", torch.rand(3, 6, 6), 255 * torch.rand(3, 6, 6), "replace", (-20, 255)),
        Warp("warp", (-20, 255), torch.randn(2, 8, 8)),
        Tone("tone", (-20, 255), torch.randn(3, 3), torch.randn(3), torch.randn(3)),
        Latent("latent late", torch.randn(5), "network.1"),
    ],
    ids=["add", "replace", "warp", "tone", "latent"],
)
def test_round_trip_of_triggers(tmp_path: Path, trigger: Trigger) -> None:
    """To the last bit, in whatever units the images are: else the file would change each time."""
    network = random_classifier("conv_norm").network
    model = Classifier(network, input_shape=(3, 6, 6), bounds=(-20, 255))
    made = make_repair(model, (1,))
    made = replace(made, targets=(replace(made.targets[0], trigger=trigger),))
    back = Repair.load(made.save(tmp_path / "a.safetensors"), model)
    same(made, back, model)
    again = Repair.load(back.save(tmp_path / "b.safetensors"), model)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert again.targets[0].trigger.site == trigger.site


@pytest.mark.parametrize("trigger", [(3, "network.1"), (5, "nowhere"), (5, "network.3.1")])
def test_latent_triggers_of_another_network(
    tmp_path: Path, model: Classifier, trigger: tuple[int, str]
) -> None:
    channels, site = trigger
    made = make_repair(model, (1,))
    latent = Latent("latent late", torch.randn(channels), site)
    made = replace(made, targets=(replace(made.targets[0], trigger=latent),))
    file = made.save(tmp_path / "a.safetensors")
    with pytest.raises(UndoorError, match=rf"the trigger at '{site}' does not fit the model"):
        Repair.load(file, model)


def test_round_trip_of_an_adapted_repair(tmp_path: Path, model: Classifier) -> None:
    made = make_repair(model)
    adapted = replace(
        made.targets[0],
        adapted=Adaptation(900, 57, 20, 0.0, 57, True),
        sia=None,
        trials=(Trial("finest", None, 0.01, 0.9),),
    )
    made = replace(made, targets=(adapted, made.targets[1]))
    back = Repair.load(made.save(tmp_path / "a.safetensors"), model)
    same(made, back, model)
    assert [item.adapted for item in back.targets] == [adapted.adapted, None]


def test_empty_repair(tmp_path: Path, model: Classifier) -> None:
    made = replace(make_repair(model, ()), verdict="clean")
    made.save(tmp_path)
    back = Repair.load(tmp_path, model)
    assert back.targets == ()
    assert back.verdict == "clean"


def test_the_same_repair_is_the_same_bytes(tmp_path: Path, model: Classifier) -> None:
    made = make_repair(model)
    slower = replace(made, seconds={"scan": 99.0, "align": 3.0})
    contents = {made.save(tmp_path / f"{i}.safetensors").read_bytes() for i in range(5)}
    contents.add(slower.save(tmp_path / "slow").read_bytes())
    (content,) = contents
    assert hashlib.sha256(content).hexdigest() == made.sha256()
    assert str(tmp_path).encode() not in content


def test_every_change_is_another_file(model: Classifier) -> None:
    made = make_repair(model)
    corrections = dict(made.targets[0].corrections)
    corrections["entry"] = made.targets[1].corrections["entry"]
    first = made.targets[0]
    others = [
        replace(made, verdict="inconclusive"),
        replace(made, version="0.0.0"),
        replace(made, targets=made.targets[::-1]),
        replace(made, targets=(replace(first, calibration=calibration(3)), made.targets[1])),
        replace(made, targets=(replace(first, corrections=corrections), made.targets[1])),
        replace(made, contract=replace(made.contract, class_names=tuple("abcd"))),
    ]
    assert len({made.sha256(), *(other.sha256() for other in others)}) == 1 + len(others)


def test_contents(tmp_path: Path, model: Classifier) -> None:
    make_repair(model).save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {REPAIR_DESCRIPTION, REPAIR_FILE, "trigger_1.npz", "trigger_3.npz"}
    content, tensors = opened(tmp_path / REPAIR_FILE)
    assert content["schema"] == SCHEMA == "undoor/repair-file/5"
    assert content["model"] == {
        **identify(model).to_json(),
        "sha256": model.fingerprint(),
        "input_shape": [3, 6, 6],
        "bounds": [0.0, 1.0],
        "class_names": ["0", "1", "2", "3"],
    }
    assert content["undoor"] == "0.1.0"
    assert "seconds" not in content
    assert "repair/1/correction/network.1/scale" in tensors
    assert "repair/1/correction/network.1/down" in tensors
    assert "repair/3/trigger/pattern" in tensors


def test_documents_are_never_read(tmp_path: Path, model: Classifier) -> None:
    made = make_repair(model)
    made.save(tmp_path)
    for path in tmp_path.iterdir():
        if path.name != REPAIR_FILE:
            path.write_bytes(b"nonsense")
    same(made, Repair.load(tmp_path, model), model)


def test_file_comes_last(
    tmp_path: Path, model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with repair.safetensors is a whole repair."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Trigger, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        make_repair(model).save(tmp_path)
    assert not (tmp_path / REPAIR_FILE).exists()


# Refusals


def test_another_model(file: Path) -> None:
    with pytest.raises(UndoorError, match=r"a\.safetensors: .*made for another model"):
        Repair.load(file, random_classifier("conv_norm", seed=1))


def test_expected_sha256(file: Path, model: Classifier) -> None:
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    Repair.load(file, model, sha256=right.upper())
    with pytest.raises(UndoorError, match="expected a file with the SHA-256 0000"):
        Repair.load(file, model, sha256="0" * 64)


def test_every_flipped_byte(file: Path, model: Classifier) -> None:
    """Wherever it is, in the header or in the numbers."""
    whole = file.read_bytes()
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(0, len(whole), (150,), generator=generator).tolist()
    header = int.from_bytes(whole[:8], "little")
    for place in [*range(12), *range(8 + header, 20 + header), *places]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 + place % 255
        file.write_bytes(damaged)
        with pytest.raises(UndoorError, match=r"a\.safetensors: "):
            Repair.load(file, model)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated(file: Path, model: Classifier, share: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UndoorError, match="damaged or no safetensors file"):
        Repair.load(file, model)


def test_nothing_there(tmp_path: Path, model: Classifier) -> None:
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "nowhere.safetensors"):
        with pytest.raises(UndoorError, match="no such file; expected what `undoor repair` writes"):
            Repair.load(path, model)


@pytest.mark.parametrize("name", [REPAIR_DESCRIPTION, "trigger_1.npz"])
def test_another_file(tmp_path: Path, model: Classifier, name: str) -> None:
    make_repair(model).save(tmp_path)
    with pytest.raises(UndoorError, match="damaged or no safetensors file"):
        Repair.load(tmp_path / name, model)


# Files whose seal is whole: made by another version, or by somebody who knows how.


def resealed(file: Path, content: Any, tensors: dict[str, torch.Tensor]) -> Path:
    file.write_bytes(sealed(content, tensors))
    return file


def as_the_format_before(content: dict[str, Any], note: str) -> dict[str, Any]:
    """With sentences beside the numbers."""
    targets = [
        {**item, "calibration": {**item["calibration"], "resolution": 0.2, "note": note}}
        for item in content["targets"]
    ]
    return {**content, "schema": "undoor/repair-file/4", "targets": targets}


def test_words_of_a_note_are_no_part_of_a_repair(file: Path, model: Classifier) -> None:
    """Files of the format before are read, whatever language their notes are in."""
    content, tensors = opened(file)
    hashes = set()
    for note in ("4 clean images cannot promise", "mit 4 Bildern geht das nicht"):
        resealed(file, as_the_format_before(content, note), tensors)
        hashes.add(Repair.load(file, model).sha256())
    assert hashes == {make_repair(model).sha256()}


def words_of(part: object) -> list[str]:
    if isinstance(part, dict):
        return [word for item in part.values() for word in words_of(item)]
    if isinstance(part, list):
        return [word for item in part for word in words_of(item)]
    return [part] if isinstance(part, str) else []


def test_a_file_says_numbers_and_names_alone(file: Path) -> None:
    content, _ = opened(file)
    assert not [words for words in words_of(content["targets"]) if words.count(" ") > 1]


@pytest.mark.parametrize("schema", ["undoor/repair-file/2", None, 3])
def test_other_schema(file: Path, model: Classifier, schema: object) -> None:
    content, tensors = opened(file)
    resealed(file, {**content, "schema": schema}, tensors)
    with pytest.raises(UndoorError, match="expected schema 'undoor/repair-file/5'"):
        Repair.load(file, model)


@pytest.mark.parametrize("content", [None, [], "x", 3, {}])
def test_no_description(file: Path, content: object) -> None:
    with pytest.raises(UndoorError, match="expected schema"):
        Repair.load(resealed(file, content, {}))


@pytest.mark.parametrize(
    "change",
    [
        {"targets": None},
        {"targets": [{}]},
        {"targets": 3},
        {"verdict": "fine"},
        {"model": {}},
        {"model": {"sha256": "0", "input_shape": [3, -1], "bounds": [0, 1], "class_names": []}},
        {"model": {"sha256": "0", "input_shape": [3], "bounds": [1, 0], "class_names": []}},
    ],
)
def test_strange_entries(file: Path, model: Classifier, change: dict[str, Any]) -> None:
    content, tensors = opened(file)
    resealed(file, {**content, **change}, tensors)
    with pytest.raises(UndoorError, match="not a readable repair"):
        Repair.load(file, model)


@pytest.mark.parametrize(
    "change",
    [
        {"adapted": {"seen": 900}},
        {"quick": None},
        {"quick": 1},
        {"threshold": None},
        {"threshold": "1.5"},
        {"calibration": None},
        {"calibration": {"wanted_fpr": 0.01}},
        {"calibration": {**calibration(1).to_json(), "flagged_interval": [0.1]}},
        {"target": 3},
        {"target": 4},
        {"target": True},
        {"target": "1"},
        {"target": [1]},
        {"sources": [0, 9]},
        {"trigger": {}},
        {"trigger": {"kind": "nonsense"}},
        {"sites": [{"name": "entry"}]},
        {"sites": []},
    ],
)
def test_strange_targets(file: Path, model: Classifier, change: dict[str, Any]) -> None:
    """A guard without a threshold would flag nothing, in silence."""
    content, tensors = opened(file)
    first, second = content["targets"]
    resealed(file, {**content, "targets": [{**first, **change}, second]}, tensors)
    with pytest.raises(UndoorError, match="not a readable repair"):
        Repair.load(file, model)


def test_missing_and_added_tensors(file: Path, model: Classifier) -> None:
    content, tensors = opened(file)
    for part in ("high", "down", "up"):
        gone = f"repair/3/correction/entry/{part}"
        less = {k: v for k, v in tensors.items() if k != gone}
        with pytest.raises(UndoorError, match=rf"not a readable repair.*{gone}"):
            Repair.load(resealed(file, content, less), model)
    more = {**tensors, "hidden": torch.ones(3)}
    with pytest.raises(UndoorError, match=r"not a readable repair.*belong to nothing: hidden"):
        Repair.load(resealed(file, content, more), model)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("scale", "nan"),
        ("shift", "inf"),
        ("low", "nan"),
        ("high", "nan"),
        ("high", "-inf"),
        ("down", "nan"),
        ("up", "inf"),
    ],
)
def test_numbers_that_would_disarm_the_guard(
    file: Path, model: Classifier, part: str, value: str
) -> None:
    """Comparisons with NaN are false: nothing would be flagged."""
    content, tensors = opened(file)
    tensors[f"repair/1/correction/network.1/{part}"].flatten()[0] = float(value)
    if part == "high" and value == "-inf":
        tensors["repair/1/correction/network.1/low"].fill_(0)
    with pytest.raises(UndoorError, match=r"not a readable repair.*is no correction: its"):
        Repair.load(resealed(file, content, tensors), model)


@pytest.mark.parametrize("part", ["scale", "low", "down", "up"])
def test_numbers_of_another_network(file: Path, model: Classifier, part: str) -> None:
    content, tensors = opened(file)
    key = f"repair/1/correction/network.1/{part}"
    tensors[key] = tensors[key][:1].clone()
    with pytest.raises(UndoorError, match=r"corrections at 'network\.1' do not fit the model"):
        Repair.load(resealed(file, content, tensors), model)


def test_says_that_it_was_quick(tmp_path: Path, model: Classifier) -> None:
    made = make_repair(model)
    first, second = made.targets
    made = replace(made, targets=(replace(first, quick=True), second))
    read = Repair.load(made.save(tmp_path / "a.safetensors"), model)
    assert [item.quick for item in read.targets] == [True, False]
    assert [item["quick"] for item in read.to_json()["targets"]] == [True, False]


def test_units_by_themselves_have_four_parts(tmp_path: Path, model: Classifier) -> None:
    made = make_repair(model, (1,))
    (item,) = made.targets
    alone = {
        name: Correction(h.scale, h.shift, h.low, h.high) for name, h in item.corrections.items()
    }
    made = replace(made, targets=(replace(item, corrections=alone),))
    same(made, Repair.load(made.save(tmp_path / "a.safetensors"), model), model)
    _, tensors = opened(tmp_path / "a.safetensors")
    assert not [key for key in tensors if key.endswith(("/down", "/up"))]
