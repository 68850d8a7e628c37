"""Partitions and their keys: the one bijective codec between names and keys.

A name as people write it (``Qwen/Qwen1.5-110B``) becomes a key (``Qwen__Qwen1.5-110B``) that is
safe as a Dagster partition key, as one folder of a hive path and as a word on a command line.
Dagster silently drops dynamic keys that hold ``|``; commas and brackets break its selectors;
slashes and ``..`` would leave the partition's folder. The encoding leaves none of them in a key.

The encoding, byte by byte of the name's UTF-8:

* ``/`` becomes ``__``, as the Open LLM Leaderboard writes it;
* letters, digits and ``. _ @ + -`` stay, except where they would be ambiguous: an underscore that
  touches another underscore or a slash, a dot that follows a dot, and a leading dot or hyphen;
* every other byte becomes ``~XX``, two upper-case hexadecimal digits.

A key that would be longer than `MAX_KEY_LENGTH` is cut and ends in ``~~`` and a hash of the name.
Such a key still belongs to one name only but cannot be decoded; the name itself is a column of
``responses`` and part of the submission's record.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

MAX_KEY_LENGTH = 150
_HASH_MARK = "~~"
_PLAIN = frozenset((string.ascii_letters + string.digits + "._@+-").encode())
_KEY = re.compile(r"(?:[A-Za-z0-9._@+-]|~[0-9A-F]{2})+(?:~~[0-9a-f]{16})?", re.ASCII)


class KeyCodecError(ValueError):
    """A name cannot be encoded as a key, or no name encodes to a key."""


def encode_key(name: str) -> str:
    """Return the partition key of a model's or benchmark's name.

    Parameters
    ----------
    name : str
        Any non-empty text, e.g. ``"org/model"``.

    Returns
    -------
    str
        At most `MAX_KEY_LENGTH` characters of ``[A-Za-z0-9._@+~-]``. Different names have
        different keys.

    Raises
    ------
    KeyCodecError
        If the name is empty or only white space.
    """
    if not name.strip():
        raise KeyCodecError("an empty name cannot be a key: give the model or benchmark a name")
    raw = name.encode("utf-8", "surrogatepass")
    key = "".join(_encode_byte(raw, position) for position in range(len(raw)))
    if len(key) <= MAX_KEY_LENGTH:
        return key
    digest = hashlib.blake2b(raw, digest_size=8).hexdigest()
    head = key[: MAX_KEY_LENGTH - len(_HASH_MARK) - len(digest)]
    return re.sub(r"~[0-9A-F]?$", "", head) + _HASH_MARK + digest


def _encode_byte(raw: bytes, position: int) -> str:
    byte = raw[position : position + 1]
    before = raw[position - 1 : position] if position else b""
    after = raw[position + 1 : position + 2]
    if byte == b"/":
        return "__"
    ambiguous = (
        (byte == b"_" and (before in (b"_", b"/") or after in (b"_", b"/")))
        or (byte == b"." and before in (b"", b"."))
        or (byte == b"-" and before == b"")
    )
    if byte[0] in _PLAIN and not ambiguous:
        return byte.decode()
    return f"~{byte[0]:02X}"


def decode_key(key: str) -> str:
    """Return the name that `encode_key` turned into this key.

    Raises
    ------
    KeyCodecError
        If the key is not one that `encode_key` makes, or was cut (it holds ``~~``).
    """
    if _HASH_MARK in key:
        raise KeyCodecError(
            f"key {key!r} stands for a name too long to be kept in it: "
            "read the name from the submission's record"
        )
    if not _KEY.fullmatch(key):
        raise KeyCodecError(f"{key!r} is not a partition key of this project")
    raw = re.sub(
        rb"~([0-9A-F]{2})|__",
        lambda match: bytes([int(match[1], 16)]) if match[1] else b"/",
        key.encode("ascii"),
    )
    try:
        name = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise KeyCodecError(f"{key!r} is not a partition key of this project") from error
    if not name.strip() or encode_key(name) != key:
        raise KeyCodecError(f"{key!r} is not a partition key of this project")
    return name


def is_key(text: str) -> bool:
    """Return whether a text could have come from `encode_key`."""
    if _HASH_MARK in text:
        return len(text) <= MAX_KEY_LENGTH and _KEY.fullmatch(text) is not None
    try:
        decode_key(text)
    except KeyCodecError:
        return False
    return True


@dataclass(frozen=True, order=True)
class SubmissionPartition:
    """One model's results on one benchmark, by their keys: the unit of most tables."""

    benchmark: str
    model: str

    @classmethod
    def of_names(cls, benchmark: str, model: str) -> SubmissionPartition:
        """Encode the true names of a benchmark and a model."""
        return cls(encode_key(benchmark), encode_key(model))

    @property
    def collection(self) -> str:
        """The key of the benchmark."""
        return self.benchmark

    def __str__(self) -> str:
        """Return the form that Dagster shows, ``benchmark|model``."""
        return f"{self.benchmark}|{self.model}"


@dataclass(frozen=True, order=True)
class BenchmarkPartition:
    """One benchmark, by its key: what all of its models share."""

    benchmark: str

    @property
    def collection(self) -> str:
        """The key of the benchmark."""
        return self.benchmark

    def __str__(self) -> str:
        """Return the benchmark's key."""
        return self.benchmark


@dataclass(frozen=True, order=True)
class BattleSetPartition:
    """One battle set, by its key: battles among any number of models, over a set of prompts."""

    name: str

    @classmethod
    def of_name(cls, name: str) -> BattleSetPartition:
        """Encode the true name of a battle set."""
        return cls(encode_key(name))

    @property
    def collection(self) -> str:
        """The key of the battle set."""
        return self.name

    def __str__(self) -> str:
        """Return the battle set's key."""
        return self.name


RecordedPartition: TypeAlias = SubmissionPartition | BattleSetPartition
"""A partition that was ingested: a submission or a battle set."""

ResultsPartition: TypeAlias = SubmissionPartition | BenchmarkPartition
"""A partition of a benchmark's results, of one model or shared by all models."""

Partition: TypeAlias = SubmissionPartition | BenchmarkPartition | BattleSetPartition
"""Any unit in which tables are kept.

Each has a `collection`: the key of the set of questions or prompts that it is about, which is a
benchmark or a battle set. Settings by benchmark and the folders of tables go by it.
"""


def benchmarks_of(partitions: Iterable[Partition]) -> list[BenchmarkPartition]:
    """Return the benchmarks that the submissions among some partitions belong to, sorted."""
    benchmarks = {
        partition.benchmark
        for partition in partitions
        if isinstance(partition, SubmissionPartition)
    }
    return [BenchmarkPartition(benchmark) for benchmark in sorted(benchmarks)]
