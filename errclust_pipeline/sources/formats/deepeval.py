"""Reader of DeepEval's test runs: ``test_run_<time>.json``, one object with `testCases`.

Whether a case is right is what DeepEval says (`success`: all metrics passed); with option
``metric`` the score of one metric decides.
"""

from __future__ import annotations

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

_ROWS = "testCases"
_SUFFIXES = (".json", ".json.gz", ".json.zst")
_FIRST_BYTES = 1 << 16
_MODEL_KEYS = ("model", "model_name", "model name", "llm")


class DeepEvalReader(RegisteredReader):
    """DeepEval test runs: the model is the hyperparameter ``model``, or option model.

    The benchmark is the run's identifier or test file, else ``deepeval``.
    """

    name = "deepeval"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the test runs in a file or folder."""
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        runs: list[RunCandidate] = []
        for file in files_below(path) if path.is_dir() else [path]:
            if not _is_test_run(file):
                continue
            about = {
                name: value
                for name, _, value in _entries(file)
                if name != _ROWS and not isinstance(value, RowError)
            }
            settings = about.get("hyperparameters")
            settings = settings if isinstance(settings, dict) else {}
            stated = next(
                (settings[key] for key in _MODEL_KEYS if isinstance(settings.get(key), str)), None
            )
            if not (model or stated):
                raise SourceError(
                    f"{file} names no model among its hyperparameters: set option model (--model)"
                )
            submission = Submission(
                benchmark=benchmark or _benchmark(about),
                model=model or str(stated),
                reader=self.name,
                files=(str(file),),
                revision=file_fingerprint(file),
                options=dict(options),
                conditions={
                    str(name): (text_of(value) or "")[:100]
                    for name, value in settings.items()
                    if name not in _MODEL_KEYS and value is not None
                },
            )
            runs.append(RunCandidate(submission, file.name))
        return settle_runs(runs)

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the test cases."""
        metric = constant_option(submission.options, "metric")

        def convert(position: int, row: Any) -> dict[str, Any] | RowError:
            return _to_row(position, row, metric)

        rows = _rows(Path(submission.files[0]))
        return batches(submission, batch_rows, rows, convert, self.expects)


def _entries(path: Path) -> Iterator[tuple[str, int, Any]]:
    with open_result_file(path) as stream:
        try:
            yield from read_json_object(stream, _ROWS)
        except WrongEncodingError as error:
            raise SourceError(f"{path} {error}") from error


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    for name, position, value in _entries(path):
        if name == _ROWS or isinstance(value, RowError):
            yield position, value


def _is_test_run(path: Path) -> bool:
    if not path.name.lower().endswith(_SUFFIXES):
        return False
    try:
        with open_result_file(path) as stream:
            start = stream.read(_FIRST_BYTES)
    except SourceError:
        return False  # A file of another format may be damaged too.
    is_object = start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return is_object and b'"testCases"' in start and b'"metricsData"' in start


def _benchmark(about: Mapping[str, Any]) -> str:
    for key in ("identifier", "testFile", "datasetAlias"):
        name = about.get(key)
        if isinstance(name, str) and name.strip():
            return Path(name).stem if key == "testFile" else name
    return "deepeval"


def _to_row(position: int, row: Any, metric: str | None) -> dict[str, Any] | RowError:
    if not isinstance(row, dict):
        return RowError("not_an_object", f"a test case is a {type(row).__name__}")
    data = row.get("metricsData")
    metrics = {
        str(one.get("name")): one
        for one in (data if isinstance(data, list) else ())
        if isinstance(one, dict) and one.get("name") is not None
    }
    score = _score(row, metrics, metric)
    if isinstance(score, RowError):
        return score
    question = asked_text(row.get("input"))
    if not question or not question.strip():
        return RowError("missing_question", "the test case has no input")
    details = row.get("metadata") or row.get("additionalMetadata")
    details = details if isinstance(details, dict) else {}
    return {
        "example_id": text_of(row.get("order")) or str(position),
        "subject": subject_in(details),
        "question": question,
        "gold": text_of(row.get("expectedOutput")),
        "response": text_of(row.get("actualOutput")),
        "extraction_recorded": False,
        "score": score,
        "metric": metric or "success",
        "metadata": metadata_json(
            {
                "name": row.get("name"),
                "scores": {name: one.get("score") for name, one in metrics.items()} or None,
                "reasons": {
                    name: one["reason"] for name, one in metrics.items() if one.get("reason")
                }
                or None,
                **{str(key): value for key, value in details.items()},
            }
        ),
    }


def _score(
    row: Mapping[str, Any], metrics: Mapping[str, Any], metric: str | None
) -> float | int | RowError | None:
    if metric is None:
        success = row.get("success")
        if success is not None and not isinstance(success, bool):
            return RowError("missing_score", f"success is {text_of(success)}"[:200])
        return None if success is None else float(success)
    if metric not in metrics:
        known = ", ".join(metrics) or "none"
        return RowError("no_score", f"there is no metric {metric!r}; there are: {known}"[:500])
    score = metrics[metric].get("score")
    if score is None or isinstance(score, int | float):
        return score
    return RowError("missing_score", f"metric {metric} scored {text_of(score)}"[:200])
