"""Steps of a long run, kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from undoor.journal import NO_DRAFT, Draft, Journal, digest


def test_a_step_is_taken_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run").about("model", np.arange(3))
    taken: list[int] = []

    def compute(_: Draft) -> dict[str, np.ndarray]:
        taken.append(1)
        return {"a": np.array([0.1, np.nan]), "b": np.array("text")}

    first, kept = journal.step("x", compute, 1)
    assert not kept
    again, kept = Journal(tmp_path / "run").about("model", np.arange(3)).step("x", compute, 1)
    assert kept
    assert len(taken) == journal.steps == 1
    for key, value in first.items():
        np.testing.assert_array_equal(again[key], value)
    journal.step("x", compute, 2)
    journal.about("more").step("x", compute, 1)
    journal.step("y", compute, 1)
    assert len(taken) == journal.steps == 4
    journal.clear()
    assert not (tmp_path / "run").exists()
    assert journal.steps == 0


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half", None])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    told: list[str] = []
    journal = Journal(tmp_path, tell=told.append)
    journal.step("x", lambda _: {"a": np.arange(5)})
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:-30] if damage is None else damage)
    found, kept = journal.step("x", lambda _: {"a": np.arange(6)})
    assert not kept
    assert len(found["a"]) == 6
    assert journal.step("x", lambda _: {})[1]
    assert len(told) == 1
    assert "damaged" in told[0]
    assert str(file) in told[0]


def test_what_cannot_be_stored_without_pickle_is_no_step(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="of object"):
        Journal(tmp_path).step("x", lambda _: {"a": np.array([object()])})
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Progressed:
    step: int
    value: torch.Tensor


def test_digests_tell_types_shapes_and_order_apart() -> None:
    facts = [
        (1,),
        ("1",),
        (1.0,),
        (1, 2),
        (2, 1),
        (np.zeros(4, np.float32),),
        (np.zeros(4),),
        (np.zeros((2, 2)),),
        (np.zeros(2), np.zeros(2)),
        (torch.zeros(2),),
        (torch.zeros(2, dtype=torch.bfloat16),),
        (((1,), 2),),
        ((1, (2,)),),
        ({"a": 1},),
        ([1, 2],),
        (b"1",),
        (None,),
        (True,),
        (Path("1"),),
        (Progressed(1, torch.zeros(2)),),
        (Progressed(1, torch.ones(2)),),
    ]
    assert len({digest(*each) for each in facts}) == len(facts)


def test_digests_see_every_value_of_a_large_tensor() -> None:
    """The text of a tensor leaves out all but its edges."""
    one = torch.zeros(3, 64, 64)
    other = one.clone()
    other[1, 32, 32] = 1
    assert digest(one) != digest(other)
    assert digest(("a", one)) != digest(("a", other))
    assert digest(one) == digest(one.clone())


@pytest.mark.parametrize("fact", [object(), np.array([object()]), {1, 2}, lambda: 0])
def test_of_what_may_differ_unseen_there_is_no_digest(fact: object) -> None:
    with pytest.raises(TypeError, match="expected"):
        digest(fact)


def test_a_changed_entry_is_made_again(tmp_path: Path) -> None:
    """A whole .npz, but not what was written."""
    journal = Journal(tmp_path)
    journal.step("x", lambda _: {"a": np.arange(5)})
    (file,) = tmp_path.glob("*.npz")
    with np.load(file) as archive:
        stored = {key: archive[key] for key in archive.files}
    with file.open("wb") as stream:
        np.savez(stream, **(stored | {"a": np.arange(1, 6)}))
    assert not journal.step("x", lambda _: {"a": np.arange(5)})[1]


def test_a_step_goes_on_from_its_draft(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def compute(draft: Draft, *, until: int) -> dict[str, np.ndarray]:
        kept = draft.read()
        total, done = (0, 0) if kept is None else kept["at"].tolist()
        began.append(done)
        for step in range(done, 9):
            if step == until:
                raise StoppedError
            total += step
            at = np.array([total, step + 1])
            draft.save(partial(dict, at=at))
        return {"total": np.array(total)}

    began: list[int] = []
    journal = Journal(tmp_path, every=0.0)
    for until in (4, 7):
        with pytest.raises(StoppedError):
            journal.step("x", partial(compute, until=until))
        assert journal.steps == 0
        assert not journal.empty
    found, _ = journal.step("x", lambda draft: compute(draft, until=-1))
    assert found["total"] == sum(range(9))
    assert began == [0, 4, 7]
    assert [file.suffix for file in tmp_path.iterdir()] == [".npz"]


def test_drafts_are_not_kept_all_the_time(tmp_path: Path) -> None:
    def never() -> dict[str, np.ndarray]:
        raise AssertionError("kept too early")

    def compute(draft: Draft) -> dict[str, np.ndarray]:
        draft.save(never)
        return {}

    Journal(tmp_path, every=60.0).step("x", compute)
    NO_DRAFT.save(never)
    assert NO_DRAFT.read() is None


def test_a_folder_that_was_taken_away_is_not_made_anew(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError, match="out"):
        Journal(out / "run", inside=out).step("x", lambda _: {})
    assert not out.exists()
