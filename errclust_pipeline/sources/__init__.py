"""Readers, one a format: each turns result files into the canonical responses schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType
from typing import Any

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    DEFAULT_THRESHOLD,
    Batch,
    IncompleteSourceError,
    Reader,
    SourceError,
    Submission,
    UnknownFormatError,
)
from errclust_pipeline.sources.formats.every_eval_ever import EveryEvalEverReader
from errclust_pipeline.sources.formats.inspect_ai import InspectReader
from errclust_pipeline.sources.formats.llm_uncertainty import LlmUncertaintyReader
from errclust_pipeline.sources.formats.lm_eval import LmEvalReader
from errclust_pipeline.sources.formats.mmlu_pro import MmluProReader
from errclust_pipeline.sources.formats.open_llm_leaderboard_v1 import OpenLlmLeaderboardV1Reader
from errclust_pipeline.sources.formats.osq_bench import OsqBenchReader
from errclust_pipeline.sources.formats.realmistake import RealMistakeReader
from errclust_pipeline.sources.formats.table import TableReader
from errclust_pipeline.sources.parsing.rows import files_below, leaves

__all__ = [
    "READERS",
    "Batch",
    "IncompleteSourceError",
    "Reader",
    "SourceError",
    "Submission",
    "UnknownFormatError",
    "check_options",
    "find_submissions",
    "read_submission",
]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        reader.name: reader
        for reader in (
            LmEvalReader(),
            InspectReader(),
            RealMistakeReader(),
            MmluProReader(),
            OpenLlmLeaderboardV1Reader(),
            LlmUncertaintyReader(),
            OsqBenchReader(),
            EveryEvalEverReader(),
            TableReader(),
        )
    }
)
"""The readers by name, in the order they are asked: the table, which takes most, comes last.

ReaLMistake's comes before MMLU-Pro's, which tells what is wrong with any other archive.
"""


def find_submissions(
    path: Path, *, reader: str | None = None, options: Mapping[str, Any] = MappingProxyType({})
) -> list[Submission]:
    """List the submissions in a file or folder.

    Parameters
    ----------
    reader : str, optional
        The format. If it is not given, the first reader that knows a file takes it; in a folder,
        each reader takes its files, and files nobody knows are left out.
    options : mapping
        The reader's settings.

    Raises
    ------
    SourceError
        If nothing there can be used, or two files hold results of the same model on the same
        benchmark.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if reader is not None and reader not in READERS:
        raise SourceError(f"there is no reader {reader!r}; there are: {', '.join(READERS)}")
    _check_threshold(options)
    asked = [READERS[reader]] if reader is not None else list(READERS.values())
    found: list[Submission] = []
    taken: set[str] = set()
    known: set[str] = set()
    for one in asked:
        try:
            here = [item for item in one.find(path, options) if taken.isdisjoint(item.files)]
        except SourceError as error:
            if reader is not None or one.name != "table" or "columns" in options:
                raise
            # The table takes whatever has the ending of one, so what is meant may be another.
            raise SourceError(f"{error}\nThe other formats:\n{_expected(asked[:-1])}") from error
        if here:
            known |= one.options
        found += here
        taken.update(file for item in here for file in item.files)
        if found and not path.is_dir():
            break
    if not found:
        raise UnknownFormatError(
            f"{path} {_what_is_there(path)}. Expected one of:\n{_expected(asked)}"
        )
    _check_names(options, known, path, dict.fromkeys(item.reader for item in found))
    first: dict[tuple[str, str], Submission] = {}
    for item in found:
        other = first.setdefault((item.benchmark, item.model), item)
        if other is not item:
            raise SourceError(
                f"{other.files[0]} and {item.files[0]} both hold results of {item.model} on "
                f"{item.benchmark}: keep one, or give them one at a time with option model or "
                "benchmark to name them apart"
            )
    return found


def check_options(reader: str, options: Mapping[str, Any], what: object) -> None:
    """Make sure that a reader has options of these names, and that their values can be.

    Parameters
    ----------
    what : object
        What is to be read, for the message.

    Raises
    ------
    SourceError
        If one is not known or cannot be used.
    """
    _check_threshold(options)
    _check_names(options, READERS[reader].options, what, [reader])


def _check_threshold(options: Mapping[str, Any]) -> None:
    threshold = options.get("threshold", DEFAULT_THRESHOLD)
    if not isinstance(threshold, int | float) or not 0 < threshold <= 1:
        raise SourceError(
            f"option threshold is {threshold!r}: a score below it is an error, so it must be above "
            "0 and at most 1"
        )


def _check_names(
    options: Mapping[str, Any], known: Set[str], what: object, readers: Iterable[str]
) -> None:
    foreign = sorted(set(options) - known)
    if foreign:
        raise SourceError(
            f"{what} is read as {' and '.join(readers)}, which has no option {foreign[0]}: leave "
            f"it out. Its options: {', '.join(sorted(known))}"
        )


def read_submission(submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """Stream a submission with the reader that found it.

    Raises
    ------
    SourceError
        If that reader does not exist, a file is missing or damaged, or no row is usable.
    """
    if submission.reader not in READERS:
        raise SourceError(
            f"there is no reader {submission.reader!r}, with which {submission.files[0]} was "
            f"found; there are: {', '.join(READERS)}"
        )
    return READERS[submission.reader].read(submission, batch_rows)


def _expected(readers: Sequence[Reader]) -> str:
    return "\n".join(f"  {one.name}: {one.expects}" for one in readers)


def _what_is_there(path: Path) -> str:
    if not path.is_dir():
        size = path.stat().st_size
        return f"is not a result file that is known ({size:,} bytes)" if size else "is empty"
    names = [
        str(file.relative_to(path.resolve()))
        for _, file in zip(range(5), files_below(path), strict=False)
    ]
    links = sum(leaves(file, path) for file in path.rglob("*"))
    held = f"e.g. {', '.join(names)}" if names else "no files"
    note = f"; {links} links lead out of it and were not followed" if links else ""
    return f"holds no results that are known (found: {held}{note})"
