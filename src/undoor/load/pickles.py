"""Screening of pickles by an allow-list of the opcodes, names, calls and states of state dicts.

Anything that is not on the list is a breach. The list is that of `torch.load(weights_only=True)`
without what no state dict of a classifier needs, and with values beside the weights that run
nothing (see `undoor.load.beside`); that reader is a second line of defence behind this one.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import torch

from undoor.errors import UndoorError
from undoor.load.beside import call_problem, is_beside, is_made, state_problem
from undoor.load.opcodes import Event, Value, follow, last_value

# The format of torch before 1.6: magic number, version, system, the object, the storage keys.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PICKLES = 5
MAX_PICKLES = 64

# As torch's own restricted reader knows them; EXT, INST, OBJ, PERSID and buffers are not.
OPCODES = frozenset(
    {
        "PROTO", "STOP", "GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID", "MARK", "BINPUT",
        "LONG_BINPUT", "BINGET", "LONG_BINGET", "APPEND", "APPENDS", "SETITEM", "SETITEMS",
        "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE", "EMPTY_TUPLE",
        "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "BININT", "BININT1", "BININT2", "BINFLOAT",
        "BINUNICODE", "SHORT_BINSTRING", "LONG1",
    }
)  # fmt: skip
# Those that hold or arrange plain values in pickles of other protocols. They run nothing; what is
# named and called beside them is screened like in any other. Names may be computed alone by
# STACK_GLOBAL, which is seen.
INERT = frozenset(
    {
        "FRAME", "MEMOIZE", "STACK_GLOBAL", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES",
        "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "ADDITEMS", "FROZENSET", "LONG4", "BINSTRING",
        "INT", "LONG", "FLOAT", "STRING", "UNICODE", "LIST", "DICT", "PUT", "GET", "DUP", "POP",
        "POP_MARK",
    }
)  # fmt: skip
# What may be called. Everything else that may be named is a value only: a type, a dtype.
CALLED = frozenset(
    {
        "_codecs.encode",
        "collections.OrderedDict",
        "collections.Counter",
        "builtins.set",
        "__builtin__.set",
        "torch.Size",
        "torch.device",
        "torch.serialization._get_layout",
        "torch._tensor._rebuild_from_type_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_qtensor",
        "torch._utils._rebuild_sparse_tensor",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
    }
)
NAMED = CALLED | {
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.storage.TypedStorage",
    "torch.storage.UntypedStorage",
    # Schemes of quantised tensors.
    "torch.per_tensor_affine",
    "torch.per_tensor_symmetric",
    "torch.per_channel_affine",
    "torch.per_channel_symmetric",
    "torch.per_channel_affine_float_qparams",
}
SAFE_STORAGE = re.compile(r"torch\.(cuda\.)?[A-Z][A-Za-z0-9]*Storage")
STORAGES = re.compile(rf"{SAFE_STORAGE.pattern}|torch\.storage\.(Unt|T)ypedStorage")
REBUILT = re.compile(r"torch\._utils\._rebuild_(q?tensor|tensor_v[23])")
STORAGE_PARTS = 5
SMALL = 2**26
WIDEST = 8


@dataclass(frozen=True)
class Breach:
    """Something in a pickle that no state dict needs.

    Attributes
    ----------
    name
        The global that is named or called; "" for other breaches.
    why
        The reason, in words.
    opcode
        Of the pickle machine.
    position
        Bytes from the start of the pickle.
    member
        Of the archive; "" for a plain file.
    inert
        Whether it only keeps the pickle from being read, and would run nothing.
    """

    name: str
    why: str
    opcode: str
    position: int
    member: str = ""
    inert: bool = False


@dataclass
class Screening:
    """The globals and the breaches of the pickles of a file.

    Attributes
    ----------
    globals
        Every name that they import, with the opcode that names it first.
    breaches
        What keeps them from being opened.
    damage
        Why they cannot be followed to their end; "" where they can.
    stored
        How many numbers each storage has, by its key.
    claimed
        How many numbers all tensors have together.
    """

    globals: dict[str, str] = field(default_factory=dict)
    breaches: list[Breach] = field(default_factory=list)
    damage: str = ""
    stored: dict[str, int] = field(default_factory=dict)
    claimed: int = 0
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def add(self, breach: Breach) -> None:
        """Add a breach once: a checkpoint with a thousand modules has the same one in each."""
        key = (breach.name, breach.why, breach.member)
        if key not in self._seen:
            self._seen.add(key)
            self.breaches.append(breach)


def is_safe(name: str) -> bool:
    """Return whether a checkpoint of a state dict may name this global.

    Examples
    --------
    >>> is_safe("torch.float32"), is_safe("torch.FloatStorage"), is_safe("torch.load")
    (True, True, False)
    """
    if name in NAMED or SAFE_STORAGE.fullmatch(name) or is_beside(name):
        return True
    module, _, attribute = name.rpartition(".")
    return module == "torch" and isinstance(getattr(torch, attribute, None), torch.dtype)


def screen_member(data: bytes, member: str, found: Screening) -> None:
    """Screen the one pickle that a member of an archive is; nothing may stand behind its end."""
    stream = io.BytesIO(data)
    _screen_one(stream, member, found)
    if not found.damage and stream.tell() != len(data):
        text = f"{len(data) - stream.tell():,} bytes follow the end of its pickle"
        found.add(Breach("", text, "STOP", stream.tell(), member))


def screen_stream(stream: IO[bytes], size: int, found: Screening) -> None:
    """Screen a file of pickles: those of torch's old format, or all up to the end of the file."""
    legacy = _is_legacy(stream)
    stream.seek(0)
    for index in range(LEGACY_PICKLES if legacy else MAX_PICKLES):
        _screen_one(stream, "", found)
        if found.damage or (not legacy and stream.tell() >= size):
            return
        if index == MAX_PICKLES - 1:
            found.damage = f"it has more than {MAX_PICKLES} pickles"
    # Each number takes at least one byte, which bounds what the file can declare.
    stored = sum(found.stored.values())
    if legacy and stored > size:
        text = f"it declares {stored:,} stored numbers in {size:,} bytes"
        found.add(Breach("", text, "BINPERSID", 0))


def _is_legacy(stream: IO[bytes]) -> bool:
    stream.seek(0)
    try:
        return last_value(stream) == LEGACY_MAGIC
    except Exception:
        return False


def _screen_one(stream: IO[bytes], member: str, found: Screening) -> None:
    try:
        for event in follow(stream):
            if isinstance(event, str):
                _screen_opcode(event, member, found)
            else:
                for breach in _screen_event(event, found):
                    found.add(Breach(*breach, event.opcode, event.position, member))
    except UndoorError as error:
        found.add(Breach("", str(error), "", 0, member))
        found.damage = str(error)
    # A stream that cannot be followed to its end is never handed to an unpickler.
    except Exception as error:
        found.damage = str(error).splitlines()[0] if str(error) else type(error).__name__


def _screen_opcode(opcode: str, member: str, found: Screening) -> None:
    if opcode not in OPCODES:
        text = f"it uses the opcode {opcode}, which torch.load(weights_only=True) does not take"
        found.add(Breach("", text, opcode, 0, member, inert=opcode in INERT))


def _screen_event(event: Event, found: Screening) -> Iterator[tuple[str, str]]:
    if event.does in ("names", "calls") and event.name:
        found.globals.setdefault(event.name, event.opcode)
    if event.does == "names" and not is_safe(event.name):
        yield event.name, "it is not part of a state dict"
    elif event.does == "calls":
        yield from _screen_call(event, found)
    elif event.does == "builds":
        if is_made(event.name):
            if problem := state_problem(event.target, event.value):
                yield "", problem
            return
        keys = [key.plain for key in event.value.keys]
        if event.name != "collections.OrderedDict" or keys != ["_metadata"]:
            yield "", f"it sets the state of {event.name or 'an object'}, other than _metadata"
    elif event.does == "stores":
        yield from _screen_storage(event.value, found)


def _screen_call(event: Event, found: Screening) -> Iterator[tuple[str, str]]:
    made = is_made(event.name)
    if event.name not in CALLED and not made:
        yield event.name, "it is called"
        return
    given = event.value.items
    if given is None:
        yield "", f"it calls {event.name} with what is computed while unpickling"
    elif made:
        if problem := call_problem(event.name, given):
            yield "", problem
    elif event.opcode == "NEWOBJ":
        yield event.name, "it is made without being called"
    elif event.name == "_codecs.encode" and [v.plain for v in given[1:]] != ["latin1"]:
        yield "", f"it calls {event.name} for another coding than latin1"
    elif event.name == "torch._tensor._rebuild_from_type_v2":
        # It calls what it is given.
        inner = given[2].items if len(given) > 2 else None
        if inner is None or not REBUILT.fullmatch(given[0].name or ""):
            yield "", f"{event.name} calls something other than the rebuilding of a tensor"
            return
        yield from _screen_tensor(event.name, inner, found)
    elif REBUILT.fullmatch(event.name):
        yield from _screen_tensor(event.name, given, found)


def _screen_storage(what: Value, found: Screening) -> Iterator[tuple[str, str]]:
    items = what.items or ()
    numbers = [item.plain for item in items[4:]]
    if (
        len(items) < STORAGE_PARTS
        or items[0].plain != "storage"
        or not STORAGES.fullmatch(items[1].name or "")
        or not all(isinstance(item.plain, str) for item in items[2:4])
        or not isinstance(numbers[0], int)
        or numbers[0] < 0
    ):
        yield "", "it refers to something outside of itself that is no tensor's storage"
        return
    key = str(items[2].plain)
    found.stored[key] = max(found.stored.get(key, 0), numbers[0])


def _screen_tensor(
    name: str, given: tuple[Value, ...], found: Screening
) -> Iterator[tuple[str, str]]:
    """Refuse tensors with many times the stored numbers, as strides of 0 allow."""
    storage = given[0].items if given else None
    size = given[2].items if len(given) > 2 else None
    numbers = [item.plain for item in size or ()]
    if size is None or not all(isinstance(n, int) and n >= 0 for n in numbers):
        yield "", f"it calls {name} with a size computed while unpickling"
        return
    if storage is None or given[0].made_by != "storage":
        yield "", f"it calls {name} with a storage computed while unpickling"
        return
    count = math.prod(n for n in numbers if isinstance(n, int))
    found.claimed += count
    if found.claimed > WIDEST * sum(found.stored.values()) + SMALL:
        shape = "x".join(map(str, numbers))
        yield "", f"it declares tensors far larger than what is stored, one of them of {shape}"
