"""Whether more inputs are flagged than promised: a test whose level holds however long it runs.

Under the promise, each clean input that the model predicts as a target is flagged with a
probability of at most p0. Against it stands an unknown probability p > p0, uniform on (p0, 1). The
likelihood ratio of the two, after k of n inputs were flagged,

    M = integral of p^k (1 - p)^(n - k) over p from p0 to 1, divided by
        (1 - p0) * p0^k (1 - p0)^(n - k),

is a non-negative supermartingale that starts at 1: it exceeds c at any time with a probability of
at most 1 / c (Ville's inequality). So the test may look after every input, and needs no end. It is
the one-sided beta-binomial mixture of S. Howard, A. Ramdas, J. McAuliffe and J. Sekhon,
Time-uniform, nonparametric, nonasymptotic confidence sequences, arXiv 1810.08240, section 3.2 and
appendix; the mixture goes back to H. Robbins, Statistical methods related to the law of the
iterated logarithm, Annals of Mathematical Statistics 41 (1970).

A test over all inputs since the start would need the longer to see an attack, the longer it has
seen none. So the test is started again and again, in windows of several lengths: window k of
length s raises the alarm where M >= 1 / (level * w_s * w_k), with weights w that sum to at most 1.
By the union bound, the probability that a guard which keeps its promise ever raises an alarm is at
most `level`. An alarm stays until somebody acknowledges it; the test then begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scipy.special import betaincc, betaln

# Over all targets of a service.
ALARM_LEVEL = 0.01
# The lengths of windows, in inputs.
LENGTHS = tuple(2**power for power in range(8, 31, 2))


@dataclass(frozen=True)
class Window:
    """One window of the test.

    Attributes
    ----------
    number
        1 for the first of its length.
    judged, flagged
        Inputs so far.
    """

    number: int = 1
    judged: int = 0
    flagged: int = 0


@dataclass(frozen=True)
class ShareTest:
    """The state of the test for one target.

    Attributes
    ----------
    windows
        The current window of each length.
    judged, flagged
        Inputs since the test began, for people.
    alarm
        Whether more inputs were flagged than promised, since the last acknowledgement.
    """

    windows: tuple[Window, ...] = tuple(Window() for _ in LENGTHS)
    judged: int = 0
    flagged: int = 0
    alarm: bool = False

    def after(self, judged: int, flagged: int, *, promised: float, level: float) -> ShareTest:
        """Return the state after further inputs.

        Parameters
        ----------
        judged, flagged
            How many inputs the model alone predicted as the target, and how many of them were
            flagged.
        promised
            The largest share that may be, above 0 and below 1.
        level
            The probability of ever raising an alarm while the promise is kept.
        """
        windows = tuple(
            replace(w, judged=w.judged + judged, flagged=w.flagged + flagged) for w in self.windows
        )
        alarm = self.alarm or any(
            evidence(w.flagged, w.judged, promised) >= _needed(size, w.number, level)
            for size, w in enumerate(windows)
        )
        following = tuple(
            Window(w.number + 1) if w.judged >= length else w
            for w, length in zip(windows, LENGTHS, strict=True)
        )
        return ShareTest(following, self.judged + judged, self.flagged + flagged, alarm)

    def to_json(self) -> dict[str, Any]:
        """Return the state as a database keeps it."""
        return {
            "windows": [[w.number, w.judged, w.flagged] for w in self.windows],
            "judged": self.judged,
            "flagged": self.flagged,
            "alarm": self.alarm,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ShareTest:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        windows = tuple(Window(*map(int, window)) for window in data["windows"])
        if len(windows) != len(LENGTHS):
            raise ValueError(f"expected {len(LENGTHS)} windows, got {len(windows)}")
        return ShareTest(windows, int(data["judged"]), int(data["flagged"]), bool(data["alarm"]))


def evidence(flagged: int, judged: int, promised: float) -> float:
    """Return the logarithm of M: the evidence that the promise is broken.

    >>> round(evidence(0, 100, 0.01), 1), round(evidence(3, 3, 0.01), 1)
    (-4.6, 12.4)
    """
    passed = judged - flagged
    tail = float(betaincc(flagged + 1, passed + 1, promised))
    if tail <= 0:
        return -math.inf
    whole = float(betaln(flagged + 1, passed + 1)) + math.log(tail)
    kept = flagged * math.log(promised) + passed * math.log1p(-promised)
    return whole - math.log1p(-promised) - kept


def _needed(size: int, number: int, level: float) -> float:
    """Return the logarithm of M at which window `number` of length `size` raises the alarm."""
    return -math.log(level) + (size + 1) * math.log(2) + math.log(number) + math.log(number + 1)
