"""Which class of the model a name of the data stands for."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undoor.clean_set.class_names import Classes, Found, is_named, match, number
from undoor.clean_set.classes_option import read_classes
from undoor.errors import UndoorError

ANIMALS = ("dog", "cat", "horse")


@pytest.mark.parametrize("order", list(itertools.permutations(ANIMALS)))
def test_a_permutation_is_mapped_by_name(order: tuple[str, ...]) -> None:
    for declared in (None, order):
        numbers = number(Found(sorted(order), "data", declared), ANIMALS).numbers
        assert numbers == {"dog": 0, "cat": 1, "horse": 2}


@given(st.permutations([str(i) for i in range(12)]))
def test_digits_that_are_names_are_names(own: list[str]) -> None:
    numbers = number(Found(sorted(own), "data"), own).numbers
    assert all(own[place] == name for name, place in numbers.items())


def test_other_spelling_is_the_same_name_where_one_fits() -> None:
    assert match(["Speed_Limit-80", "STOP"], ["stop", "speed limit 80"]) == {
        "Speed_Limit-80": 1, "STOP": 0
    }  # fmt: skip
    assert match(["Crane", "crane"], ["crane", "CRANE"]) == {"crane": 0}
    assert match(["crane"], ["crane", "crane"]) == {}


def test_digits_are_values_where_the_model_has_words() -> None:
    found = Found(["00002", "1"], "data")
    assert number(found, ANIMALS).numbers == {"00002": 2, "1": 1}
    assert number(found, None).numbers == {"00002": 2, "1": 1}
    assert not is_named(["0", "1"])
    assert is_named(["1", "0"])


def test_mismatches_are_explained() -> None:
    found = Found(["cat", "hoarse", "lynx"], "data")
    with pytest.raises(UndoorError) as error:
        number(found, ANIMALS)
    assert str(error.value) == (
        "2 of the 3 class names of data are not the model's: 'hoarse' (nearest: 'horse'), 'lynx'; "
        "without images then: dog, horse; rename them, or map them with --classes"
    )
    with pytest.raises(UndoorError, match=r"'Crane' \(stands for several classes\)"):
        number(Found(["Crane"], "data"), ["crane", "CRANE", "dog"])
    with pytest.raises(UndoorError, match=r"'CAT' and 'cat' in data stand for one class"):
        number(Found(["CAT", "cat"], "data"), ANIMALS)


def test_a_model_without_names() -> None:
    found = Found(["ape", "bee", "cow"], "data")
    numbers, names, notes = number(found, ["0", "1", "2"])
    assert numbers == {"ape": 0, "bee": 1, "cow": 2}
    assert names == ("ape", "bee", "cow")
    assert "in sorted order: 0 ape, 1 bee, 2 cow; if the model was trained" in notes[0]
    declared = Found(["bee"], "data", ("cow", "bee", "ape"))
    numbers, _, notes = number(declared, ["0", "1", "2"])
    assert numbers == {"bee": 1}
    assert "as the data numbers them: 0 cow, 1 bee" in notes[0]
    with pytest.raises(
        UndoorError, match=r"data has 3 classes \(ape, bee, cow\), but the model has 4"
    ):
        number(found, ["0", "1", "2", "3"])


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [
        (["n03", "n01", "n02"], {"n01": 1, "n02": 2, "n03": 0}),
        ({"n01": "cat", "n02": 2, "n03": "DOG"}, {"n01": 1, "n02": 2, "n03": 0}),
        ({"n01": "cat", "n02": "cat", "n03": None}, {"n01": 1, "n02": 1, "n03": -1}),
    ],
)
def test_classes(classes: Classes, numbers: dict[str, int]) -> None:
    found = Found(["n01", "n02", "n03"], "data")
    assert number(found, ANIMALS, classes) == (numbers, ANIMALS, ())


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["n01", "n02"], r"--classes has 2 names, but the model has 3 classes"),
        (["n01", "n02", "n4"], r"'n03' \(nearest: 'n02'\); without images then: n4"),
        ({"n01": 0, "n02": 1}, r"'n03' of data is not among the names that --classes maps"),
        ({"n01": 0, "n02": 1, "n03": 3}, r"maps 'n03' to 3, which is no class of the model"),
        ({"n01": 0, "n02": 1, "n03": "house"}, r"to 'house', .* nearest name is 'horse'"),
    ],
)
def test_classes_that_do_not_fit(classes: Classes, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        number(Found(["n01", "n02", "n03"], "data"), ANIMALS, classes)


def test_read_classes(tmp_path: Path) -> None:
    assert read_classes("a, b,c") == ["a", "b", "c"]
    text, data = tmp_path / "names.txt", tmp_path / "names.json"
    text.write_text("tench, Tinca tinca\n\ngoldfish\r\n")
    assert read_classes(str(text)) == ["tench, Tinca tinca", "goldfish"]
    for value in (["a", "b"], {"a": 0, "b": None, "c": "dog"}):
        data.write_text(json.dumps(value))
        assert read_classes(str(data)) == value
    for wrong in ("[1]", '{"a": true}', '"a"', "[", "[" * 100000):
        data.write_text(wrong)
        with pytest.raises(UndoorError, match=r"--classes .*names.json: "):
            read_classes(str(data))
    with pytest.raises(UndoorError, match=r"there is no such file"):
        read_classes(str(tmp_path / "none.txt"))


def test_names_that_transformers_makes_up_are_none() -> None:
    made_up = [f"LABEL_{i}" for i in range(3)]
    assert not is_named(made_up)
    numbering = number(Found(["cat", "dog", "owl"], "data"), made_up)
    assert numbering.numbers == {"cat": 0, "dog": 1, "owl": 2}
    assert numbering.notes[0].startswith("the model has no class names")
    many = [f"LABEL_{i}" for i in range(12)]
    # In sorted order LABEL_10 would be the third.
    assert number(Found(sorted(many), "data"), many).numbers["LABEL_10"] == 10
    assert number(Found(["2", "0", "1"], "data"), made_up).numbers == {"0": 0, "1": 1, "2": 2}
