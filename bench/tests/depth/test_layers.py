"""What a true trigger does to each layer, on a network of which everything is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench_helpers.rival_work import TEST, backdoored
from helpers.tiny import TARGET, true_trigger
from undoor.sites import find_sites
from undoor_bench.depth.layers import Known, layers_of, parts_of
from undoor_bench.depth.plot import depth_plot
from undoor_bench.depth.table import cells, markdown, rows

TRIGGER = true_trigger()


@pytest.fixture(scope="module")
def known() -> Known:
    others = TEST.labels != TARGET
    x, y = TEST.images[others], TEST.labels[others]
    return Known("toy", "Toy", "badnets", "toy", backdoored(), TRIGGER, x, y, TARGET)


def test_every_site_in_order_from_the_input_to_the_last(known: Known) -> None:
    layers = layers_of(known)
    assert [each.site for each in layers] == [site.name for site in find_sites(known.classifier)]
    assert (layers[0].depth, layers[-1].depth) == (0.0, 1.0)
    assert all(each.shift > 0 for each in layers)
    assert {each.bare_asr for each in layers} == {layers[0].bare_asr}
    assert layers[0].bare_asr > 0.9
    # The input itself, corrected position by position, is clean again.
    assert layers[0].ra > 0.9
    assert layers[0].asr < 0.1


def test_a_trigger_that_does_nothing_moves_nothing(known: Known) -> None:
    nothing = replace(TRIGGER, mask=torch.zeros_like(TRIGGER.mask))
    layers = layers_of(replace(known, trigger=nothing))
    assert all(each.shift == 0 for each in layers)
    assert all(each.bare_ra > 0.9 for each in layers)


def test_tables_and_the_picture_tell_networks_and_depths_apart(known: Known) -> None:
    layers = layers_of(known)
    other = [replace(each, network="Other", model="other") for each in layers]
    assert sum(len(part) for _, part in parts_of(layers)) == len(layers)
    names = [name for name, _ in parts_of(layers)]
    assert (names[0], names[-1]) == ("0 to 20 %", "80 to 100 %")
    found = [*rows([*layers, *other])]
    assert {row.network for row in found} == {"Toy", "Other"}
    assert all(row.models == 1 for row in found)
    assert cells(found[0])[0] in markdown(layers)
    picture = depth_plot([*layers, *other])
    assert picture.lstrip().startswith("<?xml") or "<svg" in picture
    assert "Other" in picture
    assert "No models" in depth_plot([])
