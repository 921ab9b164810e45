"""The table of `undoor-bench depth`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from undoor_bench import tables
from undoor_bench.depth.layers import Layer, parts_of

HEADER = (
    "network",
    "models",
    "depth",
    "shift, clean standard deviations",
    "largest",
    "ASR before",
    "ASR, this layer alone corrected",
    "RA before",
    "RA, this layer alone corrected",
)


@dataclass(frozen=True)
class Row:
    """The layers of all models of one kind of network in one fifth of the depth: means."""

    network: str
    models: int
    depth: str
    shift: float
    largest: float
    bare_asr: float
    asr: float
    bare_ra: float
    ra: float


def rows(layers: Sequence[Layer]) -> Iterator[Row]:
    """Yield the rows of every kind of network, in order of their first layers."""
    for network in dict.fromkeys(each.network for each in layers):
        of_network = [each for each in layers if each.network == network]
        for depth, part in parts_of(of_network):
            yield Row(
                network=network,
                models=len({each.model for each in part}),
                depth=depth,
                shift=fmean(each.shift for each in part),
                largest=max(each.shift for each in part),
                bare_asr=fmean(each.bare_asr for each in part),
                asr=fmean(each.asr for each in part),
                bare_ra=fmean(each.bare_ra for each in part),
                ra=fmean(each.ra for each in part),
            )


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as text, rates in per cent."""
    shifts = (f"{row.shift:.2f}", f"{row.largest:.2f}")
    rates = (f"{100 * rate:.1f}" for rate in (row.bare_asr, row.asr, row.bare_ra, row.ra))
    return (row.network, str(row.models), row.depth, *shifts, *rates)


def markdown(layers: Sequence[Layer]) -> str:
    """Return the table in Markdown."""
    return tables.markdown(HEADER, map(cells, rows(layers)))
