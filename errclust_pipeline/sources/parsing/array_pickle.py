"""Reading pickles of plain data and numpy arrays of real numbers, and of nothing else.

A pickle is a program: loading one of a stranger's runs what it says. So it is not loaded. Its
instructions are taken apart by the standard library, and the few that plain data and numpy's arrays
need are carried out here. The names that a file asks for are looked up in a short list, and stand
for notes of an array's parts: no numpy object is made before its type and size are known to be
sound. A file can only bring about numbers, texts, lists, dictionaries and notes.

Time and memory grow in proportion to the file, whatever sizes it states. A few bytes can recall a
large value any number of times, so no instruction may copy, hash, compare or walk through a value
that it did not take from the stack for good: texts are the only dictionary keys (the hash of a
nested tuple takes exponential time), arguments and shapes are short, and bytes are made of a text
only as often as the file has room for that text.
"""

from __future__ import annotations

import os
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.sources.base import SourceError

MAX_PICKLE_BYTES = 64 << 20
"""A larger file is refused; 10,000 arrays of six numbers take 0.65 MB."""

_TYPES = ("f2", "f4", "f8")
_BYTE_ORDERS = {"<": "<", "=": "=", ">": ">", "|": "="}
_SHOWN = 100
_MOST_ARGUMENTS = 8
"""Maximum number of arguments of a call; numpy's functions take four."""

_MOST_DIMENSIONS = 32
"""Maximum number of dimensions of an array, as in numpy 1."""

_STATE_PARTS = 9
"""Maximum number of parts of a state: numpy writes nine of a type and five of an array."""


class ForbiddenPickleError(SourceError):
    """A pickle that asks for something else than plain data and numpy's arrays."""


@dataclass(slots=True)
class PickledArray:
    """A numpy array as its pickle states it: shape, type and bytes, not looked into yet."""

    shape: tuple[int, ...] = ()
    dtype: str = "=f8"
    data: bytes | bytearray = b""

    def vector(self) -> npt.NDArray[np.float64]:
        """Return the numbers of a one-dimensional array.

        Raises
        ------
        ValueError
            If it has another shape, or its bytes do not fill that shape.
        """
        numbers = np.frombuffer(self.data, self.dtype)
        if self.shape != numbers.shape:
            raise ValueError(f"an array of shape {self.shape} holds {numbers.size} numbers")
        return numbers.astype(np.float64)


def read_array_pickle(path: Path) -> Any:
    """Return what a pickle holds: plain values, and a `PickledArray` for each numpy array.

    Raises
    ------
    ForbiddenPickleError
        If the file asks for anything else: it may be meant to do harm.
    SourceError
        If the file is missing, too large, damaged or no pickle.
    """
    try:
        with path.open("rb") as file:
            # As many bytes are reserved as are asked for.
            content = file.read(min(os.fstat(file.fileno()).st_size, MAX_PICKLE_BYTES) + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_PICKLE_BYTES:
        raise SourceError(
            f"{path} is larger than {MAX_PICKLE_BYTES >> 20} MiB, the most that is read of a pickle"
        )
    try:
        return _Machine().run(content)
    except _ForbiddenError as error:
        raise ForbiddenPickleError(
            f"{path} asks for {str(error)!r}, which is no part of plain data or a numpy array: it "
            "may be meant to run code, and was not read"
        ) from None
    # A pickle that is damaged or made up can fail in any way: its instructions meet what they do
    # not fit.
    except Exception as error:
        raise SourceError(
            f"{path} is not a pickle of numpy arrays, or is damaged "
            f"({type(error).__name__}: {str(error)[:_SHOWN]!r}): fetch it again"
        ) from error


class _ForbiddenError(Exception):
    pass


class _UnsoundError(Exception):
    pass


@dataclass(slots=True)
class _DType:
    name: str
    order: str = "="


@dataclass(frozen=True)
class _Name:
    """A name of numpy's, and what is noted when the file calls it."""

    call: Callable[..., Any] | None = None
    makes_bytes: bool = False
    """Whether a call makes bytes of a text, as many as the text has characters."""


def _make_dtype(name: Any, *_: Any) -> _DType:
    if not isinstance(name, str):
        raise _UnsoundError("an array's type has no name")
    if name not in _TYPES:
        raise _UnsoundError(
            f"an array's type is {name[:_SHOWN]!r}, expected one of {', '.join(_TYPES)}"
        )
    return _DType(name)


def _reconstruct(subtype: Any, *_: Any) -> PickledArray:
    if subtype is not _NDARRAY:
        raise _UnsoundError("an array is of a type other than numpy.ndarray")
    return PickledArray()


def _from_buffer(data: Any, dtype: Any, shape: Any, *_: Any) -> PickledArray:
    array = PickledArray()
    _set_parts(array, shape, dtype, data)
    return array


def _encode_latin_1(text: Any, encoding: Any) -> bytes:
    """Make bytes as protocol 2 and older write them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise _UnsoundError("bytes are written in another way than Python does")
    return text.encode("latin1")


_NDARRAY = _Name()
_NAMES = {
    "numpy ndarray": _NDARRAY,
    "numpy dtype": _Name(_make_dtype),
    # numpy 1 and 2 have the same functions in modules of different names.
    "numpy.core.multiarray _reconstruct": _Name(_reconstruct),
    "numpy._core.multiarray _reconstruct": _Name(_reconstruct),
    "numpy.core.numeric _frombuffer": _Name(_from_buffer),
    "numpy._core.numeric _frombuffer": _Name(_from_buffer),
    "_codecs encode": _Name(_encode_latin_1, makes_bytes=True),
}


def _set_parts(array: PickledArray, shape: Any, dtype: Any, data: Any) -> None:
    if (
        not isinstance(shape, tuple)
        or len(shape) > _MOST_DIMENSIONS
        or any(type(size) is not int for size in shape)
        or not isinstance(dtype, _DType)
        or not isinstance(data, bytes | bytearray)
    ):
        raise _UnsoundError("an array's parts are not those that numpy writes")
    # The bytes are not copied: many arrays may state the same ones.
    array.shape, array.dtype, array.data = shape, dtype.order + dtype.name, data


def _set_state(target: Any, state: Any) -> None:
    """Note the state that numpy writes of an array or of a type."""
    if not isinstance(state, tuple) or len(state) > _STATE_PARTS:
        raise _UnsoundError("a state is not one that numpy writes")
    if isinstance(target, PickledArray):
        # Version (not always), shape, type, whether in Fortran's order, and bytes.
        shape, dtype, _, data = state[-4:]
        _set_parts(target, shape, dtype, data)
    elif isinstance(target, _DType):
        order = state[1] if len(state) > 1 else None
        if type(order) is not str or order not in _BYTE_ORDERS:
            raise _UnsoundError("a type's order of bytes is none that numpy writes")
        target.order = _BYTE_ORDERS[order]
    else:
        raise _UnsoundError("a state is given to something that has none")


def _set_entries(target: Any, entries: list[Any]) -> None:
    """Put names and values into a dictionary.

    Names are texts only: a file of a few hundred bytes can nest tuples so that hashing one never
    ends.
    """
    names, values = entries[::2], entries[1::2]
    if not isinstance(target, dict) or not all(type(name) is str for name in names):
        raise _UnsoundError("a dictionary has keys that are no texts")
    target.update(zip(names, values, strict=True))


class _Machine:
    """Carries out the instructions of a pickle that plain data and arrays are made of."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        """The stacks that lie below the marks, the outermost first."""
        self._memo: dict[int, Any] = {}
        self._bytes_left = 0
        """How many bytes may still be made of texts."""

    def run(self, content: bytes) -> Any:
        """Carry out a pickle and return what it leaves."""
        # Python writes a text for each bytes object: together they are no longer than the file.
        self._bytes_left = len(content)
        for opcode, argument, _ in pickletools.genops(content):
            instruction = _INSTRUCTIONS.get(opcode.name)
            if instruction is None:
                raise _ForbiddenError(opcode.name)
            instruction(self, argument)
        return self._stack.pop()

    def pass_on(self, _: Any) -> None:
        pass

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def marked(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        values, self._stack = self._stack, self._below.pop()
        return values

    def take(self, count: int) -> list[Any]:
        """Take the values pushed last."""
        values = self._stack[len(self._stack) - count :]
        if len(values) < count:
            raise _UnsoundError("an instruction finds too little to work on")
        del self._stack[-count:]
        return values

    def memoize(self, place: int | None) -> None:
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def recall(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise _UnsoundError("something is appended to what is no list")
        target += values

    def set_entries(self, entries: list[Any]) -> None:
        _set_entries(self._stack[-1], entries)

    def push_dictionary(self, entries: list[Any]) -> None:
        target: dict[str, Any] = {}
        _set_entries(target, entries)
        self._stack.append(target)

    def push_name(self, name: str) -> None:
        if name not in _NAMES:
            raise _ForbiddenError(name[:_SHOWN].replace(" ", "."))
        self._stack.append(_NAMES[name])

    def push_name_of_stack(self, _: None) -> None:
        module, name = self.take(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise _UnsoundError("a name is no text")
        self.push_name(f"{module} {name}")

    def call(self, _: None) -> None:
        name, arguments = self.take(2)
        if not isinstance(name, _Name) or name.call is None or not isinstance(arguments, tuple):
            raise _UnsoundError("something is called that is no function of numpy's")
        if len(arguments) > _MOST_ARGUMENTS:
            raise _UnsoundError("a function is called with more arguments than numpy's have")
        if name.makes_bytes and arguments and isinstance(arguments[0], str):
            self._bytes_left -= len(arguments[0])
            if self._bytes_left < 0:
                raise _UnsoundError("bytes are made of the same text again and again")
        self._stack.append(name.call(*arguments))

    def build(self, _: None) -> None:
        [state] = self.take(1)
        _set_state(self._stack[-1], state)


_Instruction = Callable[[_Machine, Any], None]

_INSTRUCTIONS: dict[str, _Instruction] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _Machine.pass_on),
    **dict.fromkeys(
        (
            "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
            "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
            "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
        ),
        _Machine.push,
    ),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": _Machine.mark,
    "LIST": lambda machine, _: machine.push(machine.marked()),
    "DICT": lambda machine, _: machine.push_dictionary(machine.marked()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "APPEND": lambda machine, _: machine.append(machine.take(1)),
    "APPENDS": lambda machine, _: machine.append(machine.marked()),
    "SETITEM": lambda machine, _: machine.set_entries(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.set_entries(machine.marked()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.memoize),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "GLOBAL": _Machine.push_name,
    "STACK_GLOBAL": _Machine.push_name_of_stack,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}  # fmt: skip
"""The instructions admitted, by `pickletools`' names; any other, such as one that makes an object
of a class, is refused."""
