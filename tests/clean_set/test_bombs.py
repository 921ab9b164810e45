"""Data sets that are small on disk and huge or endless when read: refused, at once, in little."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from helpers.hostile.data_sets import npzs, parts, tars, valid_npz, valid_tar
from undoor.clean_set import read_clean_set
from undoor.errors import UndoorError

MEMORY = 200 * 2**20
SECONDS = 20
# In a process of its own, which the clock can end where a reader does not.
WORK = """
import json, sys
from undoor.clean_set import read_clean_set
from undoor.errors import UndoorError

said = {}
for file in json.loads(sys.stdin.read()):
    try:
        said[file] = f"read {len(read_clean_set(file))}"
    except UndoorError as error:
        said[file] = f"refused {error}"
print(json.dumps(said))
"""


def write_all(folder: Path, kind: str) -> list[Path]:
    made = []
    for name, data in parts(kind).items():
        made.append(folder / f"{name}.{kind}")
        made[-1].write_bytes(data)
    return made


def test_tar_archives_end(tmp_path: Path) -> None:
    """`tarfile` of some Pythons reads the first of them for ever."""
    files = list(map(str, write_all(tmp_path, "tar")))
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    said = json.loads(done.stdout)
    assert {Path(file).stem for file, told in said.items() if "refused" not in told} == set()
    refusals = {Path(file).stem: told for file, told in said.items()}
    assert "a header at byte 0 has a size of -512" in refusals["negative_size"]
    assert "leads back to itself" in refusals["negative_pax_size"]
    assert "more than 8 headers in front of one member" in refusals["headers_without_end"]
    assert "has 5,000 characters" in refusals["label_beyond_names"]


@pytest.mark.parametrize("name", npzs())
def test_npz_archives_take_no_memory(tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.npz"
    file.write_bytes(npzs()[name])
    assert file.stat().st_size < 40_000
    tracemalloc.start()
    try:
        with pytest.raises(UndoorError, match=r"a\.npz"):
            read_clean_set(file)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_what_the_refusals_say(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    for name, message in (
        ("labels_beyond_bytes", r"3,000,000 samples in \d+,\d+ bytes, expected at most 100,000"),
        ("images_declared_alone", r"but holds \d+ bytes"),
        ("labels_of_64_bits", r"label 18446744073709551615 of .* below 1,000,000"),
        ("images_without_pixels", r"none has a pixel"),
    ):
        file.write_bytes(npzs()[name])
        with pytest.raises(UndoorError, match=message):
            read_clean_set(file)


def test_honest_ones_are_read(tmp_path: Path) -> None:
    for kind, data, count in (("npz", valid_npz(), 4), ("tar", valid_tar(), 1)):
        file = tmp_path / f"a.{kind}"
        file.write_bytes(data)
        assert len(read_clean_set(file)) == count
    assert len(tars()) > 12
