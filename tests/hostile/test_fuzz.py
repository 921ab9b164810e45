"""Every parser of ours answers or refuses, whatever it is given; the kept corpus is replayed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.hostile import repairs
from helpers.hostile.parsers import PARSERS, survive
from helpers.hostile.seeds import hostile, kept, valid

few = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with some bytes replaced, cut out, doubled, or put in from another."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 16))
        new = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"\xff" * 4, b"\xff" * 8, bytes(4), b"R.", b"cos\nsystem\n"]),
                st.just(data[start : start + 2 * length]),
            )
        )
        data = data[:start] + new + data[start + length :]
    return data


@pytest.mark.parametrize("parser", PARSERS)
def test_valid_files_pass(parser: str) -> None:
    assert all(survive(parser, data) for data in valid(parser) if parser != "pickled")


@pytest.mark.parametrize("parser", PARSERS)
def test_corpus(parser: str) -> None:
    """What fuzzing found worth keeping, and what the hostile files hold."""
    assert kept(parser)
    for data in (*kept(parser), *hostile(parser)):
        survive(parser, data)


@pytest.mark.parametrize("parser", PARSERS)
def test_mutations(parser: str) -> None:
    seeds = [*valid(parser), *hostile(parser)]

    @few
    @given(data=mutated(seeds))
    def survives(data: bytes) -> None:
        survive(parser, data)

    survives()


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
shapes = st.lists(st.integers(0, 3), max_size=4)
told = st.tuples(shapes, st.floats(width=32))


@settings(few, max_examples=100)
@given(
    path=st.sampled_from(repairs.paths(repairs.DESCRIPTION)),
    value=odd,
    tensors=st.dictionaries(
        st.sampled_from([*repairs.TENSORS, "repair/1/x", ""]), told, max_size=2
    ),
)
def test_descriptions_of_repairs(
    path: tuple[object, ...], value: object, tensors: dict[str, object]
) -> None:
    """Any value at any place, beside tensors of any small shape."""
    survive("repair", repairs.with_entry(path, value, {**repairs.TENSORS, **tensors}))


@pytest.mark.parametrize("parser", PARSERS)
@few
@given(data=st.binary(max_size=300))
def test_noise(parser: str, data: bytes) -> None:
    survive(parser, data)
