"""TOML that somebody else wrote."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from undoor.errors import UndoorError
from undoor.load.toml_file import MAX_BYTES, read_toml


def write(folder: Path, text: str) -> Path:
    file = folder / "model.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c = 1\n[d.e]\nf = { g = [1.5, 2.5] }",
        f"mean = [{'0.5, ' * 1000}]",
        f'a = "{"." * 1000}{"[" * 1000}" # {"." * 1000}',
        f"a = '{'.' * 1000}{'{' * 1000}'",
        f'a = """\n{"." * 1000}\\"""{"[" * 1000}""""" # {"[" * 200}',
        f"a = '''\n{'.' * 1000}\\'''",
        f"{'[[a]]' + chr(10)}" * 200,
    ],
)
def test_what_tables_say(tmp_path: Path, text: str) -> None:
    assert read_toml(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a" + ".a" * 20_000 + " = 1", "name of more than 64 parts"),
        ('"a"' + " . 'a'" * 20_000 + " = 1", "name of more than 64 parts"),
        ("[a" + ".a" * 20_000 + "]", "name of more than 64 parts"),
        ("x = { a" + ".a" * 20_000 + " = 1 }", "name of more than 64 parts"),
        ("a = " + "[" * 500_000, "brackets within brackets"),
        ("a = " + "{a=" * 101 + "1" + "}" * 101, "brackets within brackets"),
        ("a = " + "1" * 5000, "not a readable TOML file: Exceeds the limit"),
        ("a = 0x" + "1" * 5000, "number of more than 100 digits"),
        ("#" * (MAX_BYTES + 1), "at most 1 MiB"),
        ("a = ", "not a readable TOML file: Invalid value"),
        ('a = """' + '\\"""' * 200_000, "not a readable TOML file: Unterminated"),
        ('a = "' + '\\"' * 500_000, "not a readable TOML file"),
    ],
)
def test_refused_at_once(tmp_path: Path, text: str, why: str) -> None:
    start = time.process_time()
    with pytest.raises(UndoorError, match=why) as caught:
        read_toml(write(tmp_path, text))
    assert time.process_time() - start < 5
    assert len(str(caught.value)) < 500
