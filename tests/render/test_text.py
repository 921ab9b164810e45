"""Numbers and names as people read them."""

from __future__ import annotations

from undoor.render.text import (
    class_label,
    interval,
    listing,
    p_value,
    percent,
    plain,
    sources_label,
)


def test_numbers() -> None:
    assert percent(0.973) == "97.3 %"
    assert percent(None) == "–"
    assert interval(0.95, 1.0) == "95.0 to 100.0"
    assert interval(None, 1.0) == ""
    assert p_value(0.0123) == "0.012"
    assert p_value(0.0) == "< 1e-99"


def test_names() -> None:
    assert plain("a\n b\t\x1b[31m") == "a b \\x1b[31m"
    assert class_label(1, ("0", "1")) == "1"
    assert class_label(1, ("cat", "dog")) == "1 dog"
    assert class_label(7, ("cat", "dog")) == "7"
    assert listing("abcd", 2) == "a, b and 2 more"


def test_sources() -> None:
    names = ("a", "b", "c", "d")
    assert sources_label((0, 1, 2), names) == "all other classes"
    assert sources_label((0, 1), names) == "0 a, 1 b"
    assert sources_label((0, 1), names, at_most=1) == "2 classes: 0 a and 1 more"
