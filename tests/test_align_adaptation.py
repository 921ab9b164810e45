"""What is recorded of a refit."""

from __future__ import annotations

import pytest

from undoor.align.adaptation import Adaptation


def test_notes() -> None:
    done = Adaptation(seen=1200, flagged=57, needed=20, fitted=57)
    assert done.enough
    assert done.note("5 stop") == (
        "57 of 1,200 inputs were flagged as 5 stop; its corrections are refitted on them"
    )
    cut = Adaptation(seen=9000, flagged=4000, needed=20, fitted=2500)
    assert "refitted on 2,500 of them" in cut.note("5")
    few = Adaptation(seen=300, flagged=19, needed=20, fitted=0)
    assert not few.enough
    assert few.note("5").endswith("20 are needed; its corrections stay as they were")
    again = Adaptation(seen=300, flagged=0, needed=20, fitted=57)
    assert again.note("5").endswith("stay as they were, fitted on 57 flagged earlier")


@pytest.mark.parametrize("fitted", [0, 57])
def test_round_trip(fitted: int) -> None:
    made = Adaptation(1200, 57, 20, fitted)
    data = made.to_json("4")
    assert data["note"] == made.note("4")
    assert Adaptation.from_json(data) == made
    for key in ("seen", "flagged", "needed", "fitted"):
        with pytest.raises(KeyError):
            Adaptation.from_json({name: value for name, value in data.items() if name != key})
