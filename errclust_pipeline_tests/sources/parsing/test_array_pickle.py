import contextlib
import copyreg
import functools
import operator
import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.parsing import array_pickle
from errclust_pipeline.sources.parsing.array_pickle import (
    ForbiddenPickleError,
    PickledArray,
    read_array_pickle,
)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "logits.pkl"
    path.write_bytes(content)
    return path


def vectors(value: Any) -> Any:
    """What was read, its arrays as lists."""
    if isinstance(value, PickledArray):
        return value.vector().tolist()
    if isinstance(value, dict):
        return {name: vectors(entry) for name, entry in value.items()}
    return [vectors(entry) for entry in value] if isinstance(value, list) else value


NUMBERS = np.array([1.5, -2.25, 0.0, 3.0])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "<f8"])
def test_arrays_of_real_numbers_read_as_numpy_reads_them(
    tmp_path: Path, protocol: int, dtype: str
) -> None:
    rows = [{"id": 3, "logits_options": NUMBERS.astype(dtype), "a": [None, True, "é"]}]
    path = write(tmp_path, pickle.dumps(rows, protocol=protocol))
    expected = [{"id": 3, "logits_options": NUMBERS.tolist(), "a": [None, True, "é"]}]
    assert vectors(read_array_pickle(path)) == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_that_numpy_1_wrote_are_read(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps([NUMBERS], protocol=protocol)
    assert b"numpy._core" in content
    # The names' lengths stand before them from protocol 4 on, and frames before those.
    for name in (b"numpy._core.multiarray", b"numpy._core.numeric"):
        older = name.replace(b"_core", b"core")
        content = content.replace(bytes([len(name)]) + name, bytes([len(older)]) + older)
        content = content.replace(name, older)
    if protocol >= 4:
        at = content.index(b"\x95")
        frame = int.from_bytes(content[at + 1 : at + 9], "little") - 1
        content = content[: at + 1] + frame.to_bytes(8, "little") + content[at + 9 :]
    assert vectors(read_array_pickle(write(tmp_path, content))) == [NUMBERS.tolist()]


class Calls:
    """Pickles as a call of anything with anything."""

    def __init__(self, call: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self._made = (call, arguments) if state is None else (call, arguments, state)

    def __reduce__(self) -> Any:
        return self._made


def opcodes(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def hostile(mark: Path) -> dict[str, Any]:
    """Pickles that create a file, or would, if they were loaded as pickles are."""
    command = f"touch {mark}"
    return {
        "os.system": Calls(os.system, command),
        "subprocess": Calls(subprocess.check_output, command.split()),
        "builtins.eval": Calls(eval, f"open({str(mark)!r}, 'w')"),
        "builtins.exec": Calls(exec, f"open({str(mark)!r}, 'w')"),
        "builtins.getattr": Calls(getattr, [], "append"),
        "builtins.open": Calls(open, str(mark), "w"),
        "inside an array": {"id": 1, "logits_options": [NUMBERS, Calls(os.system, command)]},
        "nested reduce": Calls(functools.reduce, Calls(operator.add, Calls(os.system, command), 1)),
        "copyreg": Calls(copyreg._reconstructor, Calls, object, None),
        "operator.attrgetter": Calls(operator.attrgetter, "system"),
        "new object": opcodes(name("numpy", "matrix"), b")\x81"),
        "numpy.load": Calls(np.load, str(mark)),
        "numpy.save": Calls(np.save, str(mark), NUMBERS),
        "numpy.fromfile": Calls(np.fromfile, "/etc/passwd", "u1"),
        "numpy memmap": Calls(np.memmap, str(mark), "f4", "w+", 0, (4,)),
        "numpy.lib": opcodes(name("numpy.lib.npyio", "load"), b"V/etc/passwd\n\x85R"),
        "numpy.core exec": opcodes(name("numpy.testing._private.utils", "runstring"), b")R"),
        "numpy.f2py": opcodes(name("numpy.f2py.crackfortran", "myeval"), b"V1\n\x85R"),
        "numpy scalar": np.float32(3),
        "dotted name": opcodes(b"\x8c\x05numpy\x8c\x11ndarray.__class__\x93"),
        "old instance": opcodes(b"(V", command.encode(), b"\nios\nsystem\n"),
        "extension": opcodes(b"\x82\x01"),
        "persistent id": opcodes(b"V1\nQ"),
        "out of band": opcodes(b"\x97"),
        "complex numbers": np.array([1j]),
        "objects": np.array([{}], dtype=object),
        "structure": np.zeros(2, dtype=[("a", "f4")]),
        "texts": np.array(["a"]),
        "array of another class": np.ma.array(NUMBERS),
    }


@pytest.mark.parametrize("case", hostile(Path("x")))
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_that_asks_for_anything_else_is_refused(
    tmp_path: Path, case: str, protocol: int
) -> None:
    mark = tmp_path / "mark"
    made = hostile(mark)[case]
    content = made if isinstance(made, bytes) else pickle.dumps(made, protocol=protocol)
    with pytest.raises(SourceError, match=r"logits\.pkl"):
        read_array_pickle(write(tmp_path, content))
    assert not mark.exists()


def test_loading_such_a_pickle_would_do_harm(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for case in ("os.system", "subprocess", "builtins.eval", "inside an array", "nested reduce"):
        with contextlib.suppress(TypeError):
            pickle.loads(pickle.dumps(hostile(mark)[case]))
        assert mark.exists(), case
        mark.unlink()


def test_what_is_asked_for_is_named_and_cut(tmp_path: Path) -> None:
    path = write(tmp_path, pickle.dumps(Calls(eval, "1")))
    with pytest.raises(ForbiddenPickleError, match=r"logits\.pkl asks for 'builtins\.eval'"):
        read_array_pickle(path)
    path = write(tmp_path, opcodes(name("a\x1b[31m" + "b" * 10_000, "c"), b")R"))
    with pytest.raises(ForbiddenPickleError) as error:
        read_array_pickle(path)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "target", [("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct")]
)
def test_a_file_cannot_change_how_the_next_one_is_read(
    tmp_path: Path, target: tuple[str, str]
) -> None:
    # A state for the name itself: attributes that would be set on it.
    state = b"N}V__call__\nNs\x86b"
    with pytest.raises(SourceError):
        read_array_pickle(write(tmp_path, opcodes(name(*target), state)))
    good = write(tmp_path, pickle.dumps([NUMBERS]))
    assert vectors(read_array_pickle(good)) == [NUMBERS.tolist()]


def test_an_array_whose_type_lies_about_its_bytes_is_not_made(tmp_path: Path) -> None:
    # A type of objects that claims to hold none: numpy would take the bytes for addresses.
    objects = opcodes(
        name("numpy._core.multiarray", "_reconstruct"),
        name("numpy", "ndarray"),
        b"K\x00\x85C\x01b\x87R(K\x01K\x01\x85",
        name("numpy", "dtype"),
        b"VO8\n\x89\x88\x87R(K\x03V|\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
        b"\x89C\x08AAAAAAAAtb",
    )
    with pytest.raises(SourceError, match="type is 'O8'"):
        read_array_pickle(write(tmp_path, objects))


@pytest.mark.parametrize(
    ("numbers", "change"),
    [
        (NUMBERS, {"shape": (5,)}),
        (NUMBERS, {"shape": (2, 2)}),
        (NUMBERS, {"shape": (10**12,)}),
        (NUMBERS, {"shape": (-1,)}),
        (NUMBERS, {"data": b"abc"}),
        (NUMBERS.reshape(2, 2), {}),
    ],
)
def test_an_array_of_another_shape_than_its_numbers_is_told(
    numbers: Any, change: dict[str, Any]
) -> None:
    array = PickledArray(numbers.shape, "=f8", numbers.tobytes())
    for part, value in change.items():
        setattr(array, part, value)
    with pytest.raises(ValueError, match=r"shape|multiple|size"):
        array.vector()


LIMITED = """
import resource, sys
from pathlib import Path
from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.parsing.array_pickle import read_array_pickle

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_array_pickle(Path(sys.argv[1]))
except SourceError:
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_absurd_sizes_in_a_small_file_reserve_no_memory(tmp_path: Path) -> None:
    huge = (1 << 31) - 1
    contents = {
        "memo": b"Nr" + huge.to_bytes(4, "little"),
        "bytes": b"B" + huge.to_bytes(4, "little") + b"x",
        "bytes8": b"\x8e" + (1 << 40).to_bytes(8, "little") + b"x",
        "bytearray8": b"\x96" + (1 << 40).to_bytes(8, "little") + b"x",
        "text": b"X" + huge.to_bytes(4, "little") + b"x",
        "number": b"\x8b" + huge.to_bytes(4, "little") + b"1",
        "frame": b"\x95" + (1 << 40).to_bytes(8, "little") + b"x",
    }
    for case, content in contents.items():
        path = tmp_path / f"{case}.pkl"
        path.write_bytes(opcodes(content))
        command = [sys.executable, "-c", LIMITED, str(path)]
        kilobytes = int(subprocess.run(command, capture_output=True, check=True).stdout)
        assert kilobytes < 32 << 10, case


def test_values_nested_in_themselves_take_no_time(tmp_path: Path) -> None:
    # Each level holds the one before twice: to hash or show the last takes 2^200 steps.
    tuples = b")\x94" + b"".join(b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86\x94"
                                for level in range(200))  # fmt: skip
    contents = {
        "a key": opcodes(tuples, b"}h\xc8K\x01s"),
        "keys": opcodes(tuples, b"}(h\xc8K\x01u"),
        "a key of protocol 0": opcodes(tuples, b"(h\xc8K\x01d"),
        "a set": opcodes(tuples, b"\x8f(h\xc8\x90"),
        "a frozen set": opcodes(tuples, b"(h\xc8\x91"),
        "a type": opcodes(tuples, name("numpy", "dtype"), b"h\xc8\x85R"),
        "a state": opcodes(name("numpy", "dtype"), b"Vf4\n\x85R", tuples, b"b"),
        "an array": opcodes(tuples, name("numpy._core.numeric", "_frombuffer"), b"h\xc8R"),
        "a key of a key": opcodes(tuples, b"}}h\xc8K\x01sK\x01s"),
    }
    started = time.perf_counter()
    for content in contents.values():
        with pytest.raises(SourceError):
            read_array_pickle(write(tmp_path, content))
    assert time.perf_counter() - started < 1


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_pickle, "MAX_PICKLE_BYTES", 10)
    with pytest.raises(SourceError, match="larger than"):
        read_array_pickle(write(tmp_path, b"N" * 11))


GOOD = pickle.dumps([{"id": n, "logits_options": NUMBERS.astype("f4")} for n in range(3)])


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cut=st.integers(0, len(GOOD)),
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6),
    inserted=st.binary(max_size=8),
    at=st.integers(0, len(GOOD)),
)
def test_a_damaged_pickle_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    cut: int,
    changes: list[tuple[int, int]],
    inserted: bytes,
    at: int,
) -> None:
    content = bytearray(GOOD)
    for place, byte in changes:
        content[place] = byte
    content[at:at] = inserted
    path = write(tmp_path_factory.getbasetemp(), bytes(content[: len(content) - cut]))
    started = time.perf_counter()
    with contextlib.suppress(SourceError):
        read_array_pickle(path)
    assert time.perf_counter() - started < 1


def _name(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def _nested_tuple(depth: int) -> bytes:
    """Each tuple holds the one before it twice: hashing the last one takes 2^depth steps."""
    made = b")q\x00"
    for number in range(depth):
        made += b"h" + bytes([number]) + b"h" + bytes([number]) + b"\x86q" + bytes([number + 1])
    return made


_TYPE = _name("numpy", "dtype") + _text("f4") + b"\x85R"
_ARRAY = _name("numpy.core.multiarray", "_reconstruct") + _name("numpy", "ndarray") + b"\x85R"
_MANY = 40_000
_LARGE = 100_000


def _bombs() -> dict[str, bytes]:
    nested = _nested_tuple(60)
    many_marks = b"(" + b"N" * _LARGE + b"tq\x02"
    return {
        "an order of bytes that takes for ever to be hashed": (
            b"\x80\x02" + nested + _TYPE + b"(K\x03h\x3c" + b"N" * 6 + b"tb."
        ),
        "a key that takes for ever to be hashed": b"\x80\x02" + nested + b"}h\x3cK\x01s.",
        "bytes made of one text again and again": (
            b"\x80\x02"
            + (_name("_codecs", "encode") + b"q\x01")
            + (_text("a" * _LARGE) + b"q\x02" + _text("latin1") + b"q\x03")
            + b"h\x02h\x03\x86q\x04]("
            + b"h\x01h\x04R" * _MANY
            + b"e."
        ),
        "a call with many arguments again and again": (
            b"\x80\x02"
            + _name("numpy", "dtype")
            + b"q\x01"
            + many_marks
            + b"]("
            + b"h\x01h\x02R" * _MANY
            + b"e."
        ),
        "a shape of many dimensions again and again": (
            b"\x80\x02"
            + _TYPE
            + b"q\x01"
            + b"("
            + b"K\x01" * _LARGE
            + b"tq\x02"
            + b"C\x00q\x03"
            + b"(K\x01h\x02h\x01\x89h\x03tq\x04"
            + b"]("
            + (_ARRAY + b"h\x04b") * _MANY
            + b"e."
        ),
    }


@pytest.mark.parametrize("bomb", _bombs())
def test_a_small_file_takes_little_time_and_memory(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "bomb.pkl"
    path.write_bytes(_bombs()[bomb])
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(SourceError, match="is not a pickle of numpy arrays, or is damaged"):
        read_array_pickle(path)
    seconds = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 20  # Under the tracer, on a slow machine; unguarded these take minutes.
    assert peak < 64 << 20


def test_bytes_that_many_arrays_state_are_held_once(tmp_path: Path) -> None:
    path = tmp_path / "shared.pkl"
    path.write_bytes(
        b"\x80\x05"
        + _TYPE
        + b"q\x01"
        + (b"\x96" + struct.pack("<Q", _LARGE) + bytes(_LARGE) + b"q\x02")
        + b"(K\x01K\x05\x85h\x01\x89h\x02tq\x04"
        + b"]("
        + (_ARRAY + b"h\x04b") * 2_000
        + b"e."
    )
    tracemalloc.start()
    arrays = read_array_pickle(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(arrays) == 2_000
    assert peak < 20 << 20
