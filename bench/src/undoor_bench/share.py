"""So many of so many, and what that says of the true share."""

from __future__ import annotations

from dataclasses import dataclass

from undoor.rate import clopper_pearson


@dataclass(frozen=True)
class Share:
    """hits of n, with a Clopper-Pearson interval of 95 %.

    >>> Share(9, 10).text()
    '9/10 (55 to 100 %)'
    """

    hits: int
    n: int

    @property
    def rate(self) -> float:
        """A fraction; n must not be 0."""
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Lowest and highest, as fractions; n must not be 0."""
        return clopper_pearson(self.hits, self.n)

    def text(self) -> str:
        """Return the share as counts with its interval in percent, a dash where n is 0."""
        if self.n == 0:
            return "–"
        low, high = self.interval
        return f"{self.hits}/{self.n} ({100 * low:.0f} to {100 * high:.0f} %)"
