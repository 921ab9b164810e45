"""Attacks with one fixed trigger, which is stamped on every image alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from undoor.triggers import Stamp
from undoor_bench.attacks.attack import Attack
from undoor_bench.attacks.labels import LabelMap


class Fixed(Attack):
    """Stamp `trigger` and relabel (BadNets: Gu et al., arXiv 1708.06733).

    With a cover rate, triggered images of other classes keep their label, which makes the backdoor
    depend on the source (TaCT: Tang et al., USENIX Security 2021).
    """

    def __init__(
        self, stamp: Stamp, labels: LabelMap, *, rate: float, cover_rate: float = 0.0
    ) -> None:
        super().__init__(labels, rate=rate, cover_rate=cover_rate)
        self.stamp = stamp

    def apply_to(self, x: Tensor) -> Tensor:
        """Return the images with the stamp."""
        return self.stamp(x)

    def cover(self, x: Tensor) -> Tensor:
        """Return the same as `apply_to`: covered images carry the trigger, too."""
        return self.apply_to(x)

    def may_cover(self, y: Tensor) -> Tensor:
        """Return which labels [N] may be covered: those of no source class."""
        return ~self.of_sources(y)

    def state(self) -> dict[str, Tensor]:
        """Return the stamp's mask and pattern."""
        return {"mask": self.stamp.mask, "pattern": self.stamp.pattern.contiguous()}

    def put(self, state: Mapping[str, Tensor]) -> None:
        """Take over the stamp's mask and pattern."""
        self.stamp = replace(self.stamp, mask=state["mask"], pattern=state["pattern"])
