"""What a reader is told of thresholds and refits."""

from __future__ import annotations

import pytest
import torch

from undoor.align.guard_threshold import GuardThreshold
from undoor.render.repair_notes import adaptation_note, calibration_note
from undoor.repairs.adaptation import Adaptation
from undoor.spaces.images import IMAGES

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
def test_refits(made: Adaptation, start: str, end: str) -> None:
    assert adaptation_note(made, "5 stop").startswith(start)
    assert adaptation_note(made, "5 stop").endswith(end)


def test_note_of_a_refit_that_is_of_no_use() -> None:
    assert "a guard refitted on them would let 50% of such inputs pass" in adaptation_note(
        USELESS, "5"
    )


@pytest.mark.parametrize("made", [DONE, CUT, FEW, AGAIN, USELESS])
def test_round_trip(made: Adaptation) -> None:
    data = made.to_json()
    assert Adaptation.from_json(data) == made
    for key in data:
        with pytest.raises(KeyError):
            Adaptation.from_json({name: value for name, value in data.items() if name != key})


def scored(n: int, fpr: float) -> GuardThreshold:
    return GuardThreshold.of(torch.linspace(0, 1, n), torch.tensor([0.5]), fpr)


@pytest.mark.parametrize(
    ("n", "fpr", "parts"),
    [
        (30, 0.01, ("30 clean images of class 3 stop", "below 3.2 %", "requested: 1 %", "99 ")),
        (1, 0.05, ("1 clean image of class 3 stop", "below 50 %", "requested: 5 %", "19 ")),
        (98, 0.01, ("98 clean images", "below 1.01 %", "requested: 1 %", "99 ")),
        (500, 0.0001, ("500 clean images", "below 0.2 %", "requested: 0.01 %", "9999 ")),
        (13, 0.07, ("13 clean images", "below 7.1 %", "requested: 7 %", "14 ")),
    ],
)
def test_what_cannot_be_guaranteed_is_said(n: int, fpr: float, parts: tuple[str, ...]) -> None:
    note = calibration_note(scored(n, fpr), "3 stop", IMAGES.noun)
    assert note is not None
    assert note.endswith("the threshold lies above " + ("its score" if n == 1 else "all scores"))
    for part in parts:
        assert part in note


def test_where_it_can_be_guaranteed_nothing_is_said() -> None:
    assert calibration_note(scored(99, 0.01), "7") is None


def test_without_images_nothing_is_guaranteed() -> None:
    note = calibration_note(
        GuardThreshold.of(torch.zeros(0), torch.tensor([3.0]), 0.05), "2", IMAGES.noun
    )
    assert note is not None
    assert note.startswith("no clean image of class 2 is predicted as it")
    assert "three quarters of the target's lead" in note
