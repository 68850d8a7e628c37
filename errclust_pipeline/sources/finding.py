"""Finding and reading results: asks the registered readers, and checks the options given.

What a single format looks like stands in its reader, under `formats`; battles are found and read by
`sources.battles`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from types import MappingProxyType
from typing import Any

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    Reader,
    SourceError,
    Submission,
    UnknownFormatError,
)
from errclust_pipeline.sources.parsing.rows import files_below, leaves
from errclust_pipeline.sources.registry import Readers, expected_files
from errclust_pipeline.sources.scoring import Scoring

READERS: Mapping[str, Reader] = Readers("results")
"""The readers by name, in the order in which they are asked."""


def find_submissions(
    path: Path, *, reader: str | None = None, options: Mapping[str, Any] = MappingProxyType({})
) -> list[Submission]:
    """List the submissions in a file or folder.

    Parameters
    ----------
    reader : str, optional
        The format. If it is not given, the first reader that knows a file takes it. In a folder
        each reader takes the files of its format; other files are left out.
    options : mapping
        The reader's settings.

    Raises
    ------
    SourceError
        If no file can be used. Two files that hold results of the same model on the same benchmark
        are left out, and named in the notes of another submission; if there is no other, they are
        an error.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if reader is not None and reader not in READERS:
        raise SourceError(f"there is no reader {reader!r}; there are: {', '.join(READERS)}")
    Scoring.of_options(options)
    asked = [reader] if reader is not None else list(READERS)
    submissions: list[Submission] = []
    taken: set[str] = set()
    known_options: set[str] = set()
    for name in asked:
        try:
            of_reader = [
                submission
                for submission in READERS[name].find(path, options)
                if taken.isdisjoint(submission.files)
            ]
        except SourceError as error:
            if reader is not None or name != "table" or "columns" in options:
                raise
            # Many files have a table's ending, so that another format may be meant.
            others = expected_files(other for other in asked if other != name)
            raise SourceError(f"{error}\nThe other formats:\n{others}") from error
        if of_reader:
            known_options |= READERS[name].options
        submissions += of_reader
        taken.update(file for submission in of_reader for file in submission.files)
        if submissions and not path.is_dir():
            break
    if not submissions:
        raise UnknownFormatError(
            f"{path} {_what_is_there(path)}. Expected one of:\n{expected_files(asked)}"
        )
    readers = dict.fromkeys(submission.reader for submission in submissions)
    _check_names(options, known_options, path, readers)
    return _without_conflicts(submissions)


def _without_conflicts(submissions: list[Submission]) -> list[Submission]:
    """Leave out submissions of the same model and benchmark, and say so in the notes of the rest.

    Raises
    ------
    SourceError
        If none is left.
    """
    claims: dict[tuple[str, str], list[Submission]] = {}
    for submission in submissions:
        claims.setdefault((submission.benchmark, submission.model), []).append(submission)
    problems = tuple(
        f"{first.files[0]} and {second.files[0]} both hold results of {first.model} on "
        f"{first.benchmark}: keep one, or give them one at a time with option model or benchmark "
        "to name them apart"
        for first, second, *_ in (claim for claim in claims.values() if len(claim) > 1)
    )
    kept = [claim[0] for claim in claims.values() if len(claim) == 1]
    if problems and not kept:
        raise SourceError(problems[0])
    if problems:
        kept[0] = dataclasses.replace(kept[0], notes=(*kept[0].notes, *problems))
    return kept


def check_options(reader: str, options: Mapping[str, Any], what: object) -> None:
    """Check that a reader has options of these names, and that the values are possible.

    Parameters
    ----------
    what : object
        The file or dataset, for the message.

    Raises
    ------
    SourceError
        If an option is not known or its value cannot be used.
    """
    Scoring.of_options(options)
    _check_names(options, READERS[reader].options, what, [reader])


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
