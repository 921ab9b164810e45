"""Steps of a long run, kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from undoor.journal import Journal, digest


def test_a_step_is_taken_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run").about("model", np.arange(3))
    taken: list[int] = []

    def compute() -> dict[str, np.ndarray]:
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
    journal = Journal(tmp_path)
    journal.step("x", lambda: {"a": np.arange(5)})
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:-30] if damage is None else damage)
    found, kept = journal.step("x", lambda: {"a": np.arange(6)})
    assert not kept
    assert len(found["a"]) == 6
    assert journal.step("x", dict)[1]


def test_what_cannot_be_stored_without_pickle_is_no_step(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        Journal(tmp_path).step("x", lambda: {"a": np.array([object()])})
    assert not list(tmp_path.iterdir())


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
    ]
    assert len({digest(*each) for each in facts}) == len(facts)
