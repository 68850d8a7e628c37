"""Reading pickles of plain data and numpy arrays of real numbers, and of nothing else.

A pickle is a program: loading one of a stranger's runs what it says. Here every name that it asks
for is looked up in a short list of stand-ins for numpy's own, which build no numpy object but note
its parts; all other names are refused. So what a file can bring about is numbers, texts, lists and
dictionaries, and neither a call nor an array whose type lies about its content.

Python's own interpreter of pickles is used, not the one in C: that one reserves memory by numbers
in the file, tens of gigabytes for a file of seven bytes.
"""

from __future__ import annotations

import io
import pickle
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


class ForbiddenPickleError(SourceError):
    """A pickle that asks for something else than numpy's arrays."""


@dataclass
class PickledArray:
    """A numpy array as its pickle tells it: shape, type and bytes, not looked into yet."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    data: bytes = b""

    def __setstate__(self, state: Any) -> None:
        """Take what numpy's array writes: version, shape, type, order and bytes."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise pickle.UnpicklingError("an array's state is not one that numpy writes")
        shape, dtype, _, data = state[-4:]
        self._set(shape, dtype, data)

    def _set(self, shape: Any, dtype: Any, data: Any) -> None:
        if (
            not isinstance(shape, tuple)
            or not all(type(size) is int for size in shape)
            or not isinstance(dtype, _DType)
            or not isinstance(data, bytes | bytearray)
        ):
            raise pickle.UnpicklingError("an array's parts are not those that numpy writes")
        self.shape, self.dtype, self.data = shape, dtype.name, bytes(data)

    def vector(self) -> npt.NDArray[np.float64]:
        """Return the numbers of a one-dimensional array.

        Raises
        ------
        ValueError
            If it has another shape, or its bytes do not fill that shape.
        """
        numbers = np.frombuffer(self.data, self.dtype or "f8")
        if self.shape != numbers.shape:
            raise ValueError(f"an array of shape {self.shape} holds {numbers.size} numbers")
        return numbers.astype(np.float64)


class _DType:
    def __init__(self, name: str) -> None:
        self._type = name
        self._order = "="

    @property
    def name(self) -> str:
        return self._order + self._type

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in _BYTE_ORDERS:
            raise pickle.UnpicklingError("a type's state is not one that numpy writes")
        self._order = _BYTE_ORDERS[state[1]]


class _StandIn:
    """Stands in place of a name of numpy's; it cannot be changed by what is read."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a name of numpy's has no state")


class _NdArray(_StandIn):
    __slots__ = ()


class _MakeDType(_StandIn):
    __slots__ = ()

    def __call__(self, *arguments: Any) -> _DType:
        name = arguments[0] if arguments else None
        if not isinstance(name, str) or name not in _TYPES:
            raise pickle.UnpicklingError(
                f"an array's type is {str(name)[:_SHOWN]!r}, expected one of {', '.join(_TYPES)}"
            )
        return _DType(name)


class _Reconstruct(_StandIn):
    __slots__ = ()

    def __call__(self, *arguments: Any) -> PickledArray:
        if not arguments or not isinstance(arguments[0], _NdArray):
            raise pickle.UnpicklingError("an array is of a type other than numpy.ndarray")
        return PickledArray()


class _FromBuffer(_StandIn):
    __slots__ = ()

    def __call__(self, *arguments: Any) -> PickledArray:
        data, dtype, shape = arguments[:3]
        array = PickledArray()
        array._set(shape, dtype, data)
        return array


class _EncodeLatin1(_StandIn):
    """How protocol 2 and older write bytes."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> bytes:
        text, encoding = arguments
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("bytes are written in another way than Python does")
        return text.encode("latin1")


_ADMITTED = {
    ("numpy", "ndarray"): _NdArray(),
    ("numpy", "dtype"): _MakeDType(),
    # numpy 1 and 2 have the same functions in modules of different names.
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
    ("_codecs", "encode"): _EncodeLatin1(),
}


class _ArrayUnpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except (KeyError, TypeError):
            raise ForbiddenPickleError(f"{module}.{name}"[:_SHOWN]) from None


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
            content = file.read(MAX_PICKLE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_PICKLE_BYTES:
        raise SourceError(
            f"{path} is larger than {MAX_PICKLE_BYTES >> 20} MiB, the most that is read of a pickle"
        )
    try:
        return _ArrayUnpickler(io.BytesIO(content)).load()
    except ForbiddenPickleError as error:
        raise ForbiddenPickleError(
            f"{path} asks for {str(error)!r}, which is no part of a numpy array: it may be meant "
            "to run code, and was not read"
        ) from None
    # A pickle that is damaged or made up can fail in any way: its operations meet what they do
    # not fit.
    except Exception as error:
        raise SourceError(
            f"{path} is not a pickle of numpy arrays, or is damaged "
            f"({type(error).__name__}: {str(error)[:_SHOWN]!r}): fetch it again"
        ) from error
