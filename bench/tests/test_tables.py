"""Tables as text."""

from __future__ import annotations

from pathlib import Path

from undoor_bench.tables import markdown, save


def test_markdown() -> None:
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_what_a_benchmark_writes(tmp_path: Path) -> None:
    save(tmp_path / "v1.2", "text\n", [{"a": 1}], "<svg/>")
    save(tmp_path / "bare", "text\n", [])
    read = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert read == {
        "v1.2.md": "text\n",
        "v1.2.csv": "a\n1\n",
        "v1.2.svg": "<svg/>",
        "bare.md": "text\n",
        "bare.csv": "\n",
    }
