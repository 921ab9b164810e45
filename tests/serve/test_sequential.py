"""The alarm: rare while the promise is kept, soon when it is broken."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import integrate

from undoor.serve.sequential import LENGTHS, ShareTest, evidence

LEVEL = 0.01


@pytest.mark.parametrize(("flagged", "judged"), [(0, 1), (3, 5), (2, 200), (40, 200)])
def test_evidence_is_the_integral(flagged: int, judged: int) -> None:
    p0 = 0.05

    def ratio(p: float) -> float:
        return (p / p0) ** flagged * ((1 - p) / (1 - p0)) ** (judged - flagged)

    whole, _ = integrate.quad(ratio, p0, 1, points=[0.1, 0.3])
    assert evidence(flagged, judged, p0) == pytest.approx(math.log(whole / (1 - p0)), abs=1e-4)


def test_evidence_does_not_grow_on_average() -> None:
    """A supermartingale: the mean over the next input is at most the value now."""
    for promised, judged in product((0.01, 0.3), (0, 7, 100)):
        for flagged in {0, judged // 4, judged}:
            now = evidence(flagged, judged, promised)
            after = [
                math.log(share) + evidence(flagged + more, judged + 1, promised)
                for more, share in ((0, 1 - promised), (1, promised))
            ]
            assert np.logaddexp(after[0], after[1]) <= now + 1e-9
            assert evidence(0, 0, promised) == pytest.approx(0)


def after(test: ShareTest, judged: int, flagged: int, promised: float = 0.01) -> ShareTest:
    return test.after(judged, flagged, promised=promised, level=LEVEL)


def test_few_false_alarms() -> None:
    """300 guards that flag exactly as often as promised, 5000 inputs each."""
    draw = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        test = ShareTest()
        for chunk in draw.binomial(50, 0.01, 100):
            test = after(test, 50, int(chunk))
        alarms += test.alarm
    # At most 1 % may raise an alarm; more than 9 of 300 happen with probability 0.1 %.
    assert alarms <= 9


@pytest.mark.parametrize("quiet", [0, 300, 100_000])
def test_an_attack_is_seen_soon_however_long_it_was_quiet(quiet: int) -> None:
    test = after(ShareTest(), quiet, quiet // 200) if quiet else ShareTest()
    inputs = 0
    while not test.alarm:
        test = after(test, 1, 1)
        inputs += 1
        assert inputs < 20
    # Nothing but an acknowledgement ends it.
    assert after(test, 10_000, 0).alarm


def test_a_slight_excess_is_seen_in_the_end() -> None:
    test = ShareTest()
    for _ in range(400):
        test = after(test, 100, 2)
    assert test.alarm


def test_windows_begin_anew() -> None:
    test = after(ShareTest(), LENGTHS[0], 0)
    assert (test.windows[0].number, test.windows[0].judged) == (2, 0)
    assert (test.windows[1].number, test.windows[1].judged) == (1, LENGTHS[0])
    assert test.judged == LENGTHS[0]


def test_state_survives() -> None:
    test = after(after(ShareTest(), 300, 2), 5, 5)
    assert ShareTest.from_json(test.to_json()) == test
    with pytest.raises(ValueError, match="windows"):
        ShareTest.from_json(test.to_json() | {"windows": []})
