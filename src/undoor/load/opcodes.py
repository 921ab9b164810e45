"""Follow a pickle opcode by opcode, without running any: what it names, calls and stores.

The stack and the memo hold descriptions of values. A value that cannot be known, such as a name
computed while unpickling, is reported as such.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from undoor.errors import UndoorError

COMPUTED = "a name computed while unpickling"
# Enough for thirty thousand tensors; a longer pickle was made to keep its reader busy.
MAX_OPCODES = 1_000_000
# Hashing or comparing what is nested deeper can end the interpreter.
DEEPEST = 100

_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NO_PLAIN_VALUE = frozenset({"GLOBAL", "INST", "PERSID"})


@dataclass(frozen=True, slots=True)
class Value:
    """A description of a value on the stack, as far as it is known.

    Attributes
    ----------
    plain
        The value itself, where it is a text or a number; None for others.
    name
        The global, where the value is one.
    made_by
        The global whose call returned it.
    given
        The arguments of that call.
    items
        Of a tuple; None for others.
    keys
        The first keys of a dictionary.
    depth
        How deep containers are nested in it.
    """

    plain: str | bytes | int | float | None = None
    name: str | None = None
    made_by: str | None = None
    given: tuple[Value, ...] = ()
    items: tuple[Value, ...] | None = None
    keys: tuple[Value, ...] = ()
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something a pickle does beyond holding plain values.

    Attributes
    ----------
    does
        "names" a global, "calls" it, "builds" a state into an object, or "stores" (a reference to
        something outside of the pickle).
    opcode
        Of the pickle machine, as REDUCE.
    name
        The global; of "builds" the one whose call made the object; "" where there is none.
    value
        The arguments, the state, or the reference to something outside.
    position
        Bytes from the start of the pickle.
    target
        Of "builds", the object.
    """

    does: str
    opcode: str
    name: str
    value: Value
    position: int
    target: Value = Value()


_NOTHING = Value()
_MARK = Value(plain="mark")


@dataclass
class _Machine:
    stack: list[Value] = field(default_factory=list)
    memo: dict[int, Value] = field(default_factory=dict)

    def pop(self) -> Value:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a value is taken from an empty stack")
        return value

    def pops(self, count: int) -> list[Value]:
        return [self.pop() for _ in range(count)][::-1]

    def to_mark(self) -> list[Value]:
        values: list[Value] = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]


def follow(stream: IO[bytes]) -> Iterator[Event | str]:
    """Yield the events of one pickle, and the name of each opcode once.

    Parameters
    ----------
    stream
        At the start of the pickle; afterwards behind its STOP.

    Raises
    ------
    UndoorError
        It is longer, or nested deeper, than any state dict.
    Exception
        Of any type, where it is malformed, after the events before that.
    """
    machine = _Machine()
    seen: set[str] = set()
    start = stream.tell()
    for count, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
        if count > MAX_OPCODES:
            raise UndoorError(f"a pickle has more than {MAX_OPCODES:,} opcodes; expected tensors")
        if opcode.name not in seen:
            seen.add(opcode.name)
            yield opcode.name
        event = _step(machine, opcode, argument, (position or 0) - start)
        if event is not None:
            yield event
        if machine.stack and machine.stack[-1].depth > DEEPEST:
            raise UndoorError(f"a pickle nests values more than {DEEPEST} deep; expected tensors")


def last_value(stream: IO[bytes]) -> int | None:
    """Return the number that the next pickle holds; None where it holds anything else.

    The stream is moved.
    """
    number = None
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("PROTO", "FRAME", "STOP"):
            continue
        if number is not None or not isinstance(argument, int):
            return None
        number = argument
    return number


def _step(
    machine: _Machine, opcode: pickletools.OpcodeInfo, argument: Any, position: int
) -> Event | None:
    name, stack = opcode.name, machine.stack
    if name in _PUTS | {"DUP"} and stack[-1] is _MARK:
        raise ValueError("a mark is taken for a value")
    if name in _PUTS:
        machine.memo[len(machine.memo) if argument is None else int(argument)] = stack[-1]
        return None
    if name in _GETS:
        stack.append(machine.memo[int(argument)])
        return None
    if name == "DUP":
        stack.append(stack[-1])
        return None
    if name == "POP":
        stack.pop()
        return None
    if name in _TUPLES or name == "TUPLE":
        some = _TUPLES.get(name, 0)
        items = machine.to_mark() if name == "TUPLE" else machine.pops(some)
        stack.append(Value(items=tuple(items), depth=_deeper(items)))
        return None
    special = _SPECIAL.get(name)
    if special is not None:
        return special(machine, name, argument, position)
    _generic(machine, opcode, argument)
    return None


def _generic(machine: _Machine, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
    """Pop and push as many values as the opcode does."""
    before = list(opcode.stack_before)
    taken: list[Value] = []
    if pickletools.markobject in before:
        taken = machine.to_mark()
        before = before[: before.index(pickletools.markobject)]
    taken = [*machine.pops(len(before)), *taken]
    plain = argument if isinstance(argument, str | bytes | int | float) else None
    for item in opcode.stack_after:
        if item is pickletools.markobject:
            machine.stack.append(_MARK)
        elif taken:
            # A container that was made or added to: only what made it is still known.
            keys = _keys(opcode.name, taken)
            made = Value(made_by=taken[0].made_by, keys=keys, depth=_deeper(taken, grown=True))
            machine.stack.append(made)
        else:
            machine.stack.append(_NOTHING if plain is None else Value(plain=plain))


def _keys(opcode: str, taken: list[Value]) -> tuple[Value, ...]:
    """Return the keys of a dictionary that is small enough to be a state."""
    added = tuple(taken[1::2]) if opcode in ("SETITEM", "SETITEMS") else ()
    return (*taken[0].keys, *added)[:4]


def _deeper(values: list[Value], *, grown: bool = False) -> int:
    if not values:
        return 1
    inner = max(value.depth for value in (values[1:] if grown else values) or [_NOTHING])
    return max(1 + inner, values[0].depth) if grown else 1 + inner


def _global(machine: _Machine, opcode: str, argument: Any, position: int) -> Event:
    if opcode == "STACK_GLOBAL":
        parts = [value.plain for value in (machine.pop(), machine.pop())][::-1]
        named = all(isinstance(part, str) for part in parts)
        name = ".".join(map(str, parts)) if named else COMPUTED
    elif opcode.startswith("EXT"):
        name = f"copyreg extension {argument}"
    else:
        name = str(argument).replace(" ", ".", 1)
    machine.stack.append(Value(name=name))
    return Event("names", opcode, name, _NOTHING, position)


def _call(machine: _Machine, opcode: str, argument: Any, position: int) -> Event:
    keywords = machine.pop() if opcode == "NEWOBJ_EX" else _NOTHING
    arguments = machine.pop()
    function = machine.pop()
    return _called(machine, opcode, function, arguments, position, keywords.depth)


def _instance(machine: _Machine, opcode: str, argument: Any, position: int) -> Event:
    values = machine.to_mark()
    if opcode == "INST":
        function = Value(name=str(argument).replace(" ", ".", 1))
    else:
        function, values = values[0], values[1:]
    given = Value(items=tuple(values), depth=_deeper(values))
    return _called(machine, opcode, function, given, position, 0)


def _called(
    machine: _Machine, opcode: str, function: Value, given: Value, position: int, depth: int
) -> Event:
    name = function.name or "something computed while unpickling"
    arguments = given.items or ()
    machine.stack.append(Value(made_by=name, given=arguments, depth=max(given.depth, depth) + 1))
    return Event("calls", opcode, name, given, position)


def _build(machine: _Machine, opcode: str, argument: Any, position: int) -> Event:
    state, target = machine.pop(), machine.stack[-1]
    # A checkpoint never sets the state of a class or function itself.
    name = target.made_by or (f"the global {target.name}" if target.name else "")
    return Event("builds", opcode, name, state, position, target)


def _persistent(machine: _Machine, opcode: str, argument: Any, position: int) -> Event:
    what = Value(plain=str(argument)) if opcode == "PERSID" else machine.pop()
    items = what.items or ()
    # A storage is known by its type and its number of elements.
    machine.stack.append(Value(name=None, made_by="storage", items=items, depth=1))
    return Event("stores", opcode, "", what, position)


_SPECIAL = {
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"), _global),
    **dict.fromkeys(("REDUCE", "NEWOBJ", "NEWOBJ_EX"), _call),
    **dict.fromkeys(("INST", "OBJ"), _instance),
    **dict.fromkeys(("PERSID", "BINPERSID"), _persistent),
    "BUILD": _build,
}
