"""What is recorded of a refit."""

from __future__ import annotations

import pytest

from undoor.align.adaptation import Adaptation

DONE = Adaptation(seen=1200, flagged=57, needed=20, missed=0.0, fitted=57, refitted=True)
CUT = Adaptation(seen=9000, flagged=4000, needed=20, missed=0.0, fitted=2500, refitted=True)
FEW = Adaptation(seen=300, flagged=19, needed=20)
AGAIN = Adaptation(seen=300, flagged=0, needed=20, fitted=57)
USELESS = Adaptation(seen=300, flagged=40, needed=20, missed=0.5)


@pytest.mark.parametrize(
    ("made", "start", "end"),
    [
        (DONE, "57 of 1,200 inputs were flagged as 5 stop; ", "are refitted on them"),
        (CUT, "4,000 of 9,000 inputs", "are refitted on 2,500 of them"),
        (FEW, "19 of 300 inputs were flagged as 5 stop, 20 are needed; ", "stay as they were"),
        (AGAIN, "0 of 300 inputs", "stay as they were, fitted on 57 flagged earlier"),
        (USELESS, "40 of 300 inputs were flagged as 5 stop, but", "stay as they were"),
    ],
)
def test_notes(made: Adaptation, start: str, end: str) -> None:
    assert made.note("5 stop").startswith(start)
    assert made.note("5 stop").endswith(end)


def test_note_of_a_refit_that_is_of_no_use() -> None:
    assert "a guard refitted on them would let 50% of such inputs pass" in USELESS.note("5")


@pytest.mark.parametrize("made", [DONE, CUT, FEW, AGAIN, USELESS])
def test_round_trip(made: Adaptation) -> None:
    data = made.to_json("4")
    assert data["note"] == made.note("4")
    assert Adaptation.from_json(data) == made
    for key in data.keys() - {"note"}:
        with pytest.raises(KeyError):
            Adaptation.from_json({name: value for name, value in data.items() if name != key})
