"""Pickles of values and arrays, read as notes of what they say; nothing that they name is called.

A pickle is a program for a small machine: it makes values, and calls what it names. The machine
here makes numbers, texts, lists and dictionaries, and where a pickle would call something it only
notes what, with which arguments. Names that are not among the allowed ones are refused.
"""

import dataclasses
import pickletools
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, BinaryIO, NamedTuple

from sr_jax.errors import InputError

MAX_STEPS = 2**20  # of a pickle; a network of a thousand arrays has about 40,000
REMEDY = 'Take the arrays alone (a state_dict), or as .safetensors'
VALUES = {
    *('BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'BINFLOAT', 'BINSTRING', 'SHORT_BINSTRING'),
    *('BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8'),
    'BYTEARRAY8',
}
CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False, 'EMPTY_TUPLE': ()}
EMPTY: dict[str, type] = {'EMPTY_DICT': dict, 'EMPTY_LIST': list, 'EMPTY_SET': list}
TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
DICTIONARIES = {f'collections.{name}' for name in ('OrderedDict', 'defaultdict', 'Counter')}
KEYS = (str, bytes, int, float, type(None))  # tuples in tuples can be made to hash for ever


@dataclasses.dataclass(frozen=True)
class Name:
    """Something that a pickle names, such as a class."""

    name: str


@dataclasses.dataclass(eq=False)
class Note:
    """What a pickle says about a thing that it would have made.

    Attributes:
      name: what would have been called.
      arguments: with which arguments.
      state: what the thing would then have been given.
    """

    name: str
    arguments: tuple
    state: Any = None


@dataclasses.dataclass(eq=False)
class Stored:
    """A reference to what lies outside of the pickle, in the words of the program that wrote it."""

    reference: Any


class Pickle(NamedTuple):
    """What `read` returns: the value, and all references in it to what lies outside."""

    value: Any
    stored: list[Stored]


def read(file: BinaryIO, allowed: Collection[str] = ()) -> Pickle:
    """The pickle that a file goes on with; the file is left at its end.

    Args:
      file: of protocol 2 or later.
      allowed: the names that may stand in it, as 'module.name'. `DICTIONARIES` among them become
        dictionaries, all others a `Name` or, where they are called, a `Note`.

    Raises:
      InputError: it names anything else, or is too long.
      ValueError: it is damaged (or another exception that says so).
    """
    machine = _Machine(allowed)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if number == MAX_STEPS:
            raise InputError(f'refused: its pickle has more than {MAX_STEPS} steps. {REMEDY}')
        machine.step(opcode.name, argument)
    return Pickle(machine.pop(), machine.stored)


class _Machine:
    """The stack of values, those below each mark, the values that have a number, the references."""

    def __init__(self, allowed: Collection[str]):
        self.allowed = allowed
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.stored: list[Stored] = []

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        """What was put there since the last mark."""
        found, self.stack = self.stack, self.below.pop()
        return found

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in VALUES:
            self.stack.append(argument)
        elif opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode])
        elif opcode in EMPTY:
            self.stack.append(EMPTY[opcode]())
        elif opcode in TUPLES:
            self.stack.append(tuple(reversed([self.pop() for _ in range(TUPLES[opcode])])))
        elif (method := getattr(self, f'do_{opcode.lower()}', None)) is not None:
            method(argument)
        else:
            raise ValueError(f'{opcode}, a step of a pickle that is not taken here')

    def do_proto(self, _: int) -> None:
        """Nothing depends on the protocol, nor on how the pickle is cut up."""

    do_frame = do_stop = do_proto

    def do_mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def do_tuple(self, _: None) -> None:
        found = tuple(self.pop_marked())
        self.stack.append(found)

    def do_binput(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    do_long_binput = do_binput

    def do_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_binget(self, number: int) -> None:
        self.stack.append(self.memo[number])

    do_long_binget = do_binget

    def do_append(self, _: None) -> None:
        self.extend([self.pop()])

    def do_appends(self, _: None) -> None:
        self.extend(self.pop_marked())

    do_additems = do_appends

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError('something is appended to what is no list')
        self.stack[-1].extend(values)

    def do_setitem(self, _: None) -> None:
        value, key = self.pop(), self.pop()
        _fill(self.stack[-1], [(key, value)])

    def do_setitems(self, _: None) -> None:
        found = self.pop_marked()
        _fill(self.stack[-1], zip(found[::2], found[1::2], strict=True))

    def do_global(self, name: str) -> None:
        self.stack.append(self.check(name.replace(' ', '.')))

    def do_stack_global(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError('a name that is no text')
        self.stack.append(self.check(f'{module}.{name}'))

    def check(self, name: str) -> Name:
        if name not in self.allowed:
            shown = re.sub(r'[^\w.]', '?', name, flags=re.ASCII)[:100]
            raise InputError(
                f'refused: it holds more than arrays ({shown}), which another program could run. '
                f'{REMEDY}'
            )
        return Name(name)

    def do_reduce(self, _: None) -> None:
        arguments, called = self.pop(), self.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise ValueError('something is called that has no name')
        if called.name in DICTIONARIES:
            made: Any = {}
            for argument in arguments:  # the pairs, or the default, which is of no use here
                if isinstance(argument, list | Mapping):
                    _fill(made, argument.items() if isinstance(argument, Mapping) else argument)
        else:
            made = Note(called.name, arguments)
        self.stack.append(made)

    do_newobj = do_reduce

    def do_build(self, _: None) -> None:
        state = self.pop()
        if isinstance(self.stack[-1], Note):
            self.stack[-1].state = state

    def do_binpersid(self, _: None) -> None:
        self.stored.append(Stored(self.pop()))
        self.stack.append(self.stored[-1])


def _fill(found: Any, items: Iterable[Any]) -> None:
    """Puts items into what must be a dictionary, but for keys that are no simple ones."""
    if not isinstance(found, dict):
        raise ValueError('items are put into what is no dictionary')
    found.update((key, value) for key, value in items if isinstance(key, KEYS))
