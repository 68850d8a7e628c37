"""Reader of promptfoo's results: the file of ``promptfoo eval -o``, as JSON or JSON lines.

A row is one test of one prompt with one provider. Whether it is right is what promptfoo says
(`success`); with option ``metric`` a score decides: ``score``, or one of the named scores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.parsing.archive import open_result_file
from errclust_pipeline.sources.parsing.json_stream import (
    RowError,
    WrongEncodingError,
    read_json_object,
    rows_of_json_file,
)
from errclust_pipeline.sources.parsing.messages import asked_text
from errclust_pipeline.sources.parsing.rows import (
    batches,
    constant_option,
    files_below,
    metadata_json,
    subject_in,
    text_of,
)
from errclust_pipeline.sources.registry import RegisteredReader
from errclust_pipeline.sources.run_conditions import RunCandidate, settle_runs

_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst")
_KEYS = frozenset({"testIdx", "provider", "prompt", "success"})
_ROWS = "results.results"
_FAILED = 2
"""promptfoo's failure reason of a test that could not be carried out."""

_FIRST_BYTES = 1 << 16
_ROWS_LOOKED_AT = 20
_EXPECTED_BY = frozenset({"equals", "contains", "icontains", "similar", "starts-with"})
"""Assertions whose value is the right answer."""


class PromptfooReader(RegisteredReader):
    """promptfoo results: a submission for each provider and prompt of a file.

    The benchmark is the evaluation's description, else the file's name. Of several prompts the
    first one keeps the provider's name.
    """

    name = "promptfoo"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the providers and prompts in a file, or in a folder's files."""
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        runs: list[RunCandidate] = []
        for file in files_below(path) if path.is_dir() else [path]:
            if not _is_results(file):
                continue
            description, owners = _contents(file)
            if model is not None and len({provider for provider, _ in owners}) > 1:
                raise SourceError(
                    f"{file} holds results of several providers, and option model names only one: "
                    "leave the option out"
                )
            revision = file_fingerprint(file)
            named = benchmark or description or file.name.split(".")[0]
            for place, ((provider, prompt), label) in enumerate(owners.items()):
                several = len({number for _, number in owners}) > 1
                submission = Submission(
                    benchmark=named,
                    model=model or provider,
                    reader=self.name,
                    files=(str(file),),
                    revision=revision,
                    options={**options, "owner": [provider, prompt]},
                    conditions={"prompt": label} if several else {},
                )
                runs.append(RunCandidate(submission, (file.stat().st_mtime, place)))
        return settle_runs(runs)

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the tests of a provider and prompt; the others' are skipped."""
        owner = tuple(submission.options["owner"])
        metric = constant_option(submission.options, "metric")

        def convert(_position: int, row: Any) -> dict[str, Any] | RowError | None:
            if not isinstance(row, dict):
                return RowError("not_an_object", f"a result is a {type(row).__name__}")
            pair = _owner(row)
            if pair is None:
                return RowError("missing_name", "the result names no provider")
            return _to_row(row, metric) if pair == owner else None

        rows = _rows(Path(submission.files[0]))
        return batches(submission, batch_rows, rows, convert, self.expects)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    if not _is_object(path):
        yield from rows_of_json_file(path)
        return
    for name, position, value in _entries(path):
        # A file that breaks off says so outside the rows.
        if name == _ROWS or isinstance(value, RowError):
            yield position, value


def _entries(path: Path) -> Iterator[tuple[str, int, Any]]:
    with open_result_file(path) as stream:
        try:
            yield from read_json_object(stream, _ROWS)
        except WrongEncodingError as error:
            raise SourceError(f"{path} {error}") from error


def _is_object(path: Path) -> bool:
    """Whether a file is one object, and no list and no lines of objects."""
    lower = path.name.lower()
    if ".jsonl" in lower:
        return False
    with open_result_file(path) as stream:
        return stream.peek(16)[:16].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _is_results(path: Path) -> bool:
    if not path.name.lower().endswith(_SUFFIXES):
        return False
    try:
        if _is_object(path):
            with open_result_file(path) as stream:
                start = stream.read(_FIRST_BYTES)
            if b'"results"' not in start or b'"testIdx"' not in start:
                return False
        rows = (row for _, (_, row) in zip(range(_ROWS_LOOKED_AT), _rows(path), strict=False))
        return any(isinstance(row, dict) and row.keys() >= _KEYS for row in rows)
    except SourceError:
        return False  # A file of another format may be damaged too.


def _contents(path: Path) -> tuple[str | None, dict[tuple[str, int], str]]:
    """Return the evaluation's description, and each provider and prompt with the prompt's label."""
    description: str | None = None
    owners: dict[tuple[str, int], str] = {}
    entries = (
        _entries(path)
        if _is_object(path)
        else ((_ROWS, position, row) for position, row in rows_of_json_file(path))
    )
    for name, _, value in entries:
        if name == "config" and isinstance(value, dict):
            description = text_of(value.get("description"))
        elif name == _ROWS and isinstance(value, dict) and (pair := _owner(value)) is not None:
            prompt = value.get("prompt")
            label = text_of(prompt.get("label")) if isinstance(prompt, dict) else None
            words = re.sub(r"[^\w.-]+", "_", (label or "")[:40], flags=re.ASCII).strip("_")
            owners.setdefault(pair, f"{pair[1]}_{words}".rstrip("_"))
    return description if description and description.strip() else None, owners


def _owner(row: Mapping[str, Any]) -> tuple[str, int] | None:
    provider = row.get("provider")
    if isinstance(provider, dict):
        provider = provider.get("label") or provider.get("id")
    if not isinstance(provider, str) or not provider.strip():
        return None
    prompt = row.get("promptIdx")
    return provider, prompt if type(prompt) is int else 0


def _to_row(row: Mapping[str, Any], metric: str | None) -> dict[str, Any] | RowError:
    if row.get("failureReason") == _FAILED:
        return RowError("sample_failed", f"the test failed: {text_of(row.get('error'))}"[:300])
    score = _score(row, metric)
    if isinstance(score, RowError):
        return score
    question = _question(row)
    if not question or not question.strip():
        return RowError("missing_question", "the result has no prompt and no variables")
    test = row.get("testCase")
    test = test if isinstance(test, dict) else {}
    details = test.get("metadata")
    details = details if isinstance(details, dict) else {}
    response = row.get("response")
    grading = row.get("gradingResult")
    return {
        "example_id": text_of(row.get("testIdx")) or "",
        "subject": subject_in(details),
        "question": question,
        "gold": _gold(test.get("assert")),
        "response": text_of(response.get("output")) if isinstance(response, dict) else None,
        "extraction_recorded": False,
        "score": score,
        "metric": metric or "success",
        "metadata": metadata_json(
            {
                "score": row.get("score"),
                "named_scores": row.get("namedScores") or None,
                "reason": grading.get("reason") if isinstance(grading, dict) else None,
                "description": test.get("description"),
                **{str(key): value for key, value in details.items()},
            }
        ),
    }


def _score(row: Mapping[str, Any], metric: str | None) -> float | int | RowError | None:
    if metric is None:
        value = row.get("success")
        if value is not None and not isinstance(value, bool):
            return RowError("missing_score", f"success is {text_of(value)}"[:200])
        return None if value is None else float(value)
    named = row.get("namedScores")
    named = named if isinstance(named, dict) else {}
    value = row.get("score") if metric == "score" else named.get(metric)
    if isinstance(value, int | float):
        return value
    known = ", ".join(["score", *map(str, named)])
    return RowError("no_score", f"there is no score {metric!r}; there are: {known}"[:500])


def _question(row: Mapping[str, Any]) -> str | None:
    """Return what is the test's own in the prompt: the variables that it shows, else the prompt."""
    prompt = row.get("prompt")
    raw = prompt.get("raw") if isinstance(prompt, dict) else prompt
    given = row.get("vars")
    values = {
        str(name): text_of(value)
        for name, value in (given.items() if isinstance(given, dict) else ())
        if value is not None
    }
    shown = {
        name: text
        for name, text in values.items()
        if text and (not isinstance(raw, str) or text in raw)
    }
    if len(shown) == 1:
        return next(iter(shown.values()))
    if shown:
        return "\n".join(f"{name}: {text}" for name, text in shown.items())
    return asked_text(raw)


def _gold(assertions: Any) -> str | None:
    for assertion in assertions if isinstance(assertions, list) else ():
        if isinstance(assertion, dict) and assertion.get("type") in _EXPECTED_BY:
            return text_of(assertion.get("value"))
    return None
