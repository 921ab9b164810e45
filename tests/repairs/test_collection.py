"""Repairs as files: list, combine, remove."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier, random_inputs
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.repairs import combine, listed, remove
from undoor.repairs.record import Repair


@pytest.fixture(scope="module")
def model() -> Classifier:
    return random_classifier("conv_norm")


@pytest.fixture(scope="module")
def both(model: Classifier) -> Repair:
    return make_repair(model)


def parts(repair: Repair) -> list[Repair]:
    return [replace(repair, targets=(item,)) for item in repair.targets]


def test_combined_is_the_whole(both: Repair) -> None:
    """In whatever order, to the last byte."""
    one, three = parts(both)
    whole = combine([three, one])
    assert [item.target for item in whole.targets] == [1, 3]
    assert whole.sha256() == combine([one, three]).sha256() == both.sha256()


def test_combined_guards_as_each_alone() -> None:
    model = random_classifier("mlp_norm", seed=1)
    first, last = parts(make_repair(model, (0, 3)))
    x = random_inputs(model, 300)
    answers = model.predict(x)
    labels, flagged, score = guard(model, combine([last, first]), rule="disagreement")(x)
    assert int(flagged.sum()) > 20
    for part in (first, last):
        mine = answers == part.targets[0].target
        assert int(mine.sum()) > 50
        alone = guard(model, part, rule="disagreement")(x)
        for a, b in zip(alone, (labels, flagged, score), strict=True):
            assert torch.equal(a[mine], b[mine])


def test_remove_undoes_combine(both: Repair) -> None:
    one, three = parts(both)
    assert remove(both, [3]).sha256() == one.sha256()
    assert remove(combine([one, three]), [1]).sha256() == three.sha256()
    assert remove(both, []).sha256() == both.sha256()


def test_same_target_twice(both: Repair) -> None:
    one, _ = parts(both)
    item = one.targets[0]
    other = replace(one, targets=(replace(item, chosen="per channel"),))
    with pytest.raises(UndoorError, match=r"target 1 is corrected by more than one.*--prefer"):
        combine([one, other])
    assert combine([one, other], prefer="first").targets[0].chosen == "finest"
    assert combine([one, other], prefer="last").targets[0].chosen == "per channel"
    assert [i.target for i in combine([both, other], prefer="last").targets] == [1, 3]
    with pytest.raises(UndoorError, match="prefer must be first or last, got 'best'"):
        combine([one, other], prefer="best")  # type: ignore[arg-type]


def test_what_does_not_combine(both: Repair) -> None:
    one, three = parts(both)
    with pytest.raises(UndoorError, match=r"repairs of one model, got [0-9a-f]{12}, [0-9a-f]{12}"):
        combine([one, replace(three, fingerprint="f" * 64)])
    with pytest.raises(UndoorError, match="repairs of one fit, got paired, paper"):
        combine([one, replace(three, fit="paper")])
    for few in ([], [one]):
        with pytest.raises(UndoorError, match=f"at least two repairs to combine, got {len(few)}"):
            combine(few)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("clean", "backdoored"), "backdoored"),
        (("clean", "inconclusive"), "inconclusive"),
        (("clean", "clean"), "clean"),
    ],
)
def test_gravest_verdict(both: Repair, verdicts: tuple[str, str], expected: str) -> None:
    given = [replace(r, verdict=v) for r, v in zip(parts(both), verdicts, strict=True)]  # type: ignore[arg-type]
    assert combine(given).verdict == expected


def test_what_cannot_be_removed(both: Repair) -> None:
    with pytest.raises(UndoorError, match=r"expected a target of the repair \(1, 3\), got 2"):
        remove(both, [1, 2])
    with pytest.raises(UndoorError, match="nothing would be left"):
        remove(both, [1, 3])
    named = replace(both, contract=replace(both.contract, class_names=tuple("abcd")))
    with pytest.raises(UndoorError, match=r"\(1 b, 3 d\), got 0"):
        remove(named, [0])


def test_listed(tmp_path: Path, both: Repair) -> None:
    one, three = parts(both)
    one.save(tmp_path / "a" / "fix")
    three.save(tmp_path / "b.safetensors")
    both.save(tmp_path / "deep" / "er" / "fix")
    save_file({"w": torch.ones(2)}, tmp_path / "weights.safetensors")
    found = listed([tmp_path])
    assert [item.file.relative_to(tmp_path).as_posix() for item in found] == [
        "a/fix/repair.safetensors", "b.safetensors", "deep/er/fix/repair.safetensors"
    ]  # fmt: skip
    for item, made in zip(found, (one, three, both), strict=True):
        assert item.problem is None
        assert item.sha256 == made.sha256() == hashlib.sha256(item.file.read_bytes()).hexdigest()
        document = json.loads(json.dumps(item.to_json()))
        assert document["model_sha256"] == both.fingerprint
        assert [t["target"] for t in document["targets"]] == [t.target for t in made.targets]
        assert document["targets"][0]["sites"][0]["name"] == "entry"
    assert [item.sha256 for item in listed([tmp_path / "b.safetensors"])] == [three.sha256()]


def test_damaged_ones_are_listed(tmp_path: Path, both: Repair) -> None:
    """One that cannot be read must not vanish among those that can."""
    file = both.save(tmp_path / "good")
    bad = tmp_path / "bad" / file.name
    bad.parent.mkdir()
    bad.write_bytes(file.read_bytes()[:-1])
    changed = both.save(tmp_path / "changed.safetensors")
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    first, second, third = listed([tmp_path])
    assert (first.repair, second.repair) == (None, None)
    assert third.problem is None
    assert "damaged or no safetensors file" in str(first.problem)
    assert "damaged or changed after it was written" in str(second.problem)
    assert first.to_json()["problem"] == first.problem


def test_nothing_to_list(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="no repair there"):
        listed([tmp_path])
    (item,) = listed([tmp_path / "nowhere"])
    assert (item.sha256, item.repair) == (None, None)
    assert "no such file" in str(item.problem)
