"""The pictures of the HTML report, as data URIs: triggers, and inputs with and without them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from undoor.classifier import ENTRY
from undoor.render import text
from undoor.render.cells import marked_row
from undoor.scan.report import Finding
from undoor.spaces.columns import Column
from undoor.triggers import Stamp, pictures

if TYPE_CHECKING:
    from torch import Tensor

    from undoor.clean_set import CleanSet
    from undoor.spaces.space import Space

EXAMPLES = 4
# Characters of all pictures together, so that the page stays below 2 MB whatever the findings.
MAX = 1_200_000


class Album:
    """The pictures of one page; None once they would make it too large."""

    def __init__(
        self, names: tuple[str, ...], examples: CleanSet | None, space: Space | None = None
    ) -> None:
        self.names = names
        self.space = space
        self.examples = examples
        self.left = MAX
        self.full = False

    def look(self, finding: Finding) -> dict[str, str | None]:
        """Return pictures of one clean input, of the trigger alone, and of the input with it.

        A picture that there is none of is None.
        """
        images, labels = self._chosen(finding, 1)
        shown: dict[str, str | None] = {"trigger": None, "clean": None, "stamped": None}
        if not pictures.has_picture(finding.trigger, self.space):
            return shown
        shown["trigger"] = self._uri(pictures.trigger_picture(finding.trigger, self.space))
        if images is not None:
            clean, stamped = pictures.clean_and_stamped(images[0], finding.trigger, self.space)
            shown |= {"clean": self._uri(clean), "stamped": self._uri(stamped)}
            shown["label"] = text.class_label(labels[0], self.names)
        return shown

    def sheet(self, finding: Finding) -> dict[str, str | None]:
        """Return a few clean inputs of different classes above, the same with the trigger below."""
        images, labels = self._chosen(finding, EXAMPLES)
        pictured = pictures.has_picture(finding.trigger, self.space)
        if images is None or self.full or not pictured:
            return {"sheet": None}
        kinds = text.listing((text.class_label(n, self.names) for n in labels), EXAMPLES)
        return {
            "sheet": self._uri(pictures.before_and_after(images, finding.trigger, self.space)),
            "kinds": kinds,
        }

    def row(self, finding: Finding, columns: Sequence[Column]) -> list[list[str]]:
        """Return a clean row and what the trigger makes of it, as of `marked_row`.

        Empty for a trigger of other inputs than rows.
        """
        images, _ = self._chosen(finding, 1)
        trigger = finding.trigger
        if images is None or not columns or not isinstance(trigger, Stamp):
            return []
        return marked_row(images[0].tolist(), trigger, columns)

    def _chosen(self, finding: Finding, at_most: int) -> tuple[Tensor | None, list[int]]:
        """Return inputs of different source classes, the first ones of the clean set.

        None for a trigger that acts inside the network.
        """
        chosen: dict[int, int] = {}
        if self.examples is None or finding.trigger.site != ENTRY:
            return None, []
        for index, label in enumerate(self.examples.labels.tolist()):
            if label in finding.sources and label not in chosen and len(chosen) < at_most:
                chosen[label] = index
        if not chosen:
            return None, []
        return self.examples.images[list(chosen.values())], list(chosen)

    def _uri(self, png: bytes) -> str | None:
        uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        self.full = self.full or len(uri) > self.left
        if self.full:
            return None
        self.left -= len(uri)
        return uri
