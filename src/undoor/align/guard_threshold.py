"""Set the guard's threshold so that clean inputs are flagged no more often than requested."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import t as student
from torch import Tensor

from undoor.align.score_summary import ScoreSummary
from undoor.errors import UndoorError
from undoor.rate import Rate
from undoor.vocabulary import DEFAULT_FPR

MIN_FREEDOM = 4
# The threshold lies this far from the clean scores towards the triggered ones. Nearer to the
# clean: true triggers differ from recovered ones, the clean inputs do not.
TOWARDS_TRIGGERED = 0.15
# 0.29 * 100 is a little less than 29 in floating point.
ROUNDING = 1e-9


@dataclass(frozen=True)
class GuardThreshold:
    """A threshold and the scores it was set on.

    Attributes
    ----------
    threshold
        Score above which the guard flags.
    wanted
        The requested false-positive rate on clean images of the target class that are predicted as
        it, in (0, 1).
    flagged
        The share that is, of the `n` that the threshold was set on. The upper limit holds for new
        inputs as well: the rate above the k-th smallest of n scores is a Beta(n + 1 - k, k)
        variable (V. Vovk, Conditional validity of inductive conformal predictors, ACML 2012,
        section 3), whose 97.5 % point is the upper limit of Clopper and Pearson.
    clean, triggered
        The scores it was set on; None where there are none, or a file does not hold them.
    """

    threshold: float
    wanted: float
    flagged: Rate
    clean: ScoreSummary | None = None
    triggered: ScoreSummary | None = None

    @staticmethod
    def of(clean: Tensor, triggered: Tensor, fpr: float = DEFAULT_FPR) -> GuardThreshold:
        """Set the threshold from the scores of clean and triggered inputs.

        The clean inputs must have taken no part in the fit of the corrections, or their scores are
        not those of new inputs.

        Parameters
        ----------
        clean
            Scores [n] of clean inputs of the target that are predicted as it.
        triggered
            Scores [m] of triggered inputs.
        fpr
            The requested false-positive rate, in (0, 1).

        Raises
        ------
        UndoorError
            `fpr` is no share, or a clean score is not finite.

        Examples
        --------
        >>> GuardThreshold.of(torch.arange(30.0), torch.tensor([90.0, 95.0])).resolution
        0.03225806451612903
        """
        check_fpr(fpr)
        if not bool(torch.isfinite(clean).all()):
            raise UndoorError(
                f"expected finite scores of {len(clean)} clean inputs, got "
                f"{int((~torch.isfinite(clean)).sum())} that are NaN or infinite: the corrected "
                "network does not output numbers for them; try another fit (--fit)"
            )
        threshold = place_threshold(clean, triggered, fpr)
        triggered = triggered[torch.isfinite(triggered)]
        # Written so that a score which is not known to be small counts as flagged.
        flagged = Rate.of(~(clean <= threshold))
        return GuardThreshold(
            threshold, fpr, flagged, ScoreSummary.of(clean), ScoreSummary.of(triggered)
        )

    @property
    def n(self) -> int:
        """How many clean inputs of the target, predicted as it, the threshold was set on."""
        return self.flagged.n

    @property
    def resolution(self) -> float:
        """The smallest rate that a conformal quantile of `n` scores can guarantee, 1 / (n + 1)."""
        return 1 / (self.n + 1)

    @property
    def attainable(self) -> bool:
        """Whether so many scores can guarantee the requested rate."""
        return _allowed(self.n, self.wanted) > 0

    @property
    def needed(self) -> int:
        """The smallest number of clean inputs that can guarantee the requested rate."""
        return min_scores(self.wanted)

    def to_json(self) -> dict[str, Any]:
        """Return rates, intervals and scores; the threshold is stored beside them."""
        rate = self.flagged
        return {
            "wanted_fpr": self.wanted,
            "n": self.n,
            "flagged": rate.value,
            "flagged_interval": None if rate.low is None else [rate.low, rate.high],
            # Repairs of older versions do not hold the scores.
            **({"scores": scores} if (scores := self.scores_to_json()) else {}),
        }

    def scores_to_json(self) -> dict[str, Any] | None:
        """Return the scores that the threshold was set on; None where they are not known."""
        if self.clean is None and self.triggered is None:
            return None
        return {
            "clean": vars(self.clean) if self.clean else None,
            "triggered": vars(self.triggered) if self.triggered else None,
        }

    @staticmethod
    def from_json(threshold: Any, data: Mapping[str, Any]) -> GuardThreshold:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is not that, or the threshold is no finite number.
        """
        if not math.isfinite(threshold):
            raise ValueError(f"expected a finite threshold, got {threshold}")
        low, high = data["flagged_interval"] or (None, None)
        clean, triggered = (
            ScoreSummary.from_json(summary) if summary else None
            for summary in (data.get("scores", {}).get(name) for name in ("clean", "triggered"))
        )
        rate = Rate(data["flagged"], low, high, data["n"])
        return GuardThreshold(threshold, data["wanted_fpr"], rate, clean, triggered)


def check_fpr(fpr: float) -> None:
    """Refuse what is no share of inputs.

    Raises
    ------
    UndoorError
        It is at most 0 (which no number of images can guarantee), at least 1, or NaN.
    """
    if not 0 < fpr < 1:
        raise UndoorError(
            f"fpr, the share of clean inputs that may be flagged: expected a number above 0 and "
            f"below 1 such as {DEFAULT_FPR}, got {fpr}"
        )


def conformal_bound(clean: Tensor, fpr: float) -> float:
    """Return the lowest threshold that a new clean score exceeds with probability at most `fpr`.

    The ceil((1 - fpr)(n + 1))-th smallest of the n scores, infinite where n is too small: the
    split-conformal quantile (A. Angelopoulos and S. Bates, A Gentle Introduction to Conformal
    Prediction, arXiv 2107.07511, section 1). It supposes that the new input is exchangeable with
    the n and nothing else; the probability is over these as well as over the new one.

    >>> conformal_bound(torch.arange(1.0, 100.0), 0.05)
    95.0
    >>> conformal_bound(torch.arange(1.0, 19.0), 0.05)
    inf
    """
    allowed = _allowed(len(clean), fpr)
    if allowed == 0:
        return math.inf
    return float(clean.sort(descending=True).values[allowed - 1])


def min_scores(fpr: float) -> int:
    """Return the smallest number of clean scores for which `conformal_bound` is finite.

    >>> min_scores(0.05), min_scores(0.01)
    (19, 99)
    """
    return math.ceil(1 / fpr - ROUNDING) - 1


def prediction_limit(clean: Tensor, fpr: float) -> float:
    """Return the limit above which a new score lies with probability `fpr`, were scores normal.

    Where their tail is thought to end, however few they are: mean + t s sqrt(1 + 1/n), t the
    1 - `fpr` point of Student's distribution with n - 1 degrees of freedom (G. Hahn and W. Meeker,
    Statistical Intervals, 1991, section 4.7), but at least 4: of two scores the limit would be
    so high that nothing would ever be flagged.

    Parameters
    ----------
    clean
        At least two scores; one has no spread.

    Examples
    --------
    >>> round(prediction_limit(torch.arange(9.0), 0.01), 2)
    12.36
    """
    return normal_limit(float(clean.mean()), float(clean.std()), len(clean), fpr)


def normal_limit(mean: float, std: float, n: int, fpr: float) -> float:
    """Return `prediction_limit` of n scores of this mean and standard deviation.

    Of one score alone, 0: the threshold is not below it.
    """
    if n < 2:
        return 0.0
    factor = float(student.ppf(1 - fpr, max(n - 1, MIN_FREEDOM))) * math.sqrt(1 + 1 / n)
    return mean + factor * std


def place_threshold(clean: Tensor, triggered: Tensor, fpr: float = DEFAULT_FPR) -> float:
    """Return a threshold on the scores, never below what `fpr` demands of it.

    The tail of the clean scores ends at the largest of them or at `prediction_limit`, whichever is
    larger; of one score alone, not below 0. Where the two kinds part (the 5 % point of the
    triggered lies beyond the tail), a little way from it. Where they overlap, at the tail while
    half of the triggered lie beyond it (estimates are weaker than true triggers as a rule), and
    never below the conformal bound for `fpr`; where that is infinite, at the tail. 0 without clean
    scores.

    >>> place_threshold(torch.tensor([0.0, 1.0]), torch.tensor([50.0, 60.0])) < 20
    True
    """
    if len(clean) == 0:
        return 0.0
    # A score that is not a number is flagged whatever the threshold.
    triggered = triggered[torch.isfinite(triggered)]
    beyond = prediction_limit(clean, fpr) if len(clean) > 1 else 0.0
    tail = max(float(clean.max()), beyond)
    if not len(triggered):
        return tail
    reach = float(torch.quantile(triggered, 0.05))
    if reach > tail:
        return tail + TOWARDS_TRIGGERED * (reach - tail)
    return min(tail, max(float(triggered.median()), conformal_bound(clean, fpr)))


def _allowed(n: int, fpr: float) -> int:
    """Return how many of n + 1 exchangeable scores may lie above the threshold, at most n."""
    return min(n, math.floor(fpr * (n + 1) + ROUNDING))
