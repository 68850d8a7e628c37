"""Reader of lm-evaluation-harness outputs: folders of `results_*.json` and `samples_*.jsonl`.

All shapes since 0.4.0 are read: one JSON line for each filter and document (today), the same
without `filter` and `metrics` (before 0.4.7, and so the Open LLM Leaderboard v2), and one JSON list
(before June 2024). What differs inside a row is settled in `lm_eval_rows`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.formats.lm_eval_rows import choose_metric, to_row
from errclust_pipeline.sources.parsing.json_stream import RowError, rows_of_json_file
from errclust_pipeline.sources.parsing.rows import (
    batches,
    constant_option,
    files_below,
    first_row,
    leaves,
)
from errclust_pipeline.sources.registry import RegisteredReader

MAX_RESULTS_BYTES = 256 << 20
"""A results file larger than this is not read for the model's name."""

_ROWS_THAT_DECIDE = 200
"""By whose metrics the deciding one is chosen."""

_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
TIMESTAMP = r"(\d{4}[-_]\d{2}[-_]\d{2}T\d{2}[-_:.]\d{2}[-_:.]\d{2}(?:[-_:.]\d+)?)"
_SAMPLES = re.compile(rf"samples_(.+)_{TIMESTAMP}\.jsonl?(?:\.gz)?")
_RESULTS = re.compile(rf"results_{TIMESTAMP}\.json")
_PRETRAINED = re.compile(r"(?:^|,)(?:pretrained|model)=([^,]+)")

FILTERS = ("none", "flexible-extract")
"""Which answer filter's rows are used, best first, if a task has no rule and no option says.

`none` is the whole response, scored as it is. `flexible-extract` forgives the form of the answer,
so that what remains wrong is wrong in substance. After these comes the first in the file.
"""

FILTER_OF_TASK = (("gsm8k", "strict-match"),)
"""Filters that a leaderboard chose, by the beginning of the task's name.

Open LLM Leaderboard v1 scored GSM8K by the number after `####` and nothing else.
"""


@dataclass(frozen=True)
class _SamplesFile:
    path: Path
    task: str
    timestamp: str

    @property
    def age(self) -> tuple[str, str]:
        """A key that sorts by time."""
        return time_key(self.timestamp)


def time_key(timestamp: str) -> tuple[str, str]:
    """Return a key that sorts a run's time: the digits of the second, and of its fraction."""
    digits = re.sub(r"\D", "", timestamp)
    return digits[:14], digits[14:].ljust(9, "0")


def run_time(path: str) -> tuple[str, str] | None:
    """Return a key that sorts samples files by the time in their name; None if there is none."""
    found = task_and_time(path)
    return time_key(found[1]) if found else None


def task_and_time(path: str) -> tuple[str, str] | None:
    """Return the task and time in a samples file's name; None if it is not named like one."""
    match = _SAMPLES.fullmatch(path.rpartition("/")[2])
    return (match[1], match[2]) if match else None


class LmEvalReader(RegisteredReader):
    """Outputs of lm-evaluation-harness: a samples file, a model's folder, or a tree of them.

    The benchmark's name is the task's, from the file's name. The model's name is what the harness
    wrote into the results file of the same run (`model_name`): a folder is easily renamed, and its
    name may be cut or have characters replaced. Without a results file it is the folder's name,
    `org__model` read as `org/model`.

    Of several runs of the same task and model the newest is the submission; the files of the
    others are listed in its option `superseded`.
    """

    name = "lm_eval"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the submissions of a samples file, a model's folder, or a tree of folders."""
        samples = list(_samples_below(path)) if path.is_dir() else _samples_file(path)
        if not samples:
            results = (
                [file for file in files_below(path) if _is_results(file)] if path.is_dir() else []
            )
            if results:
                raise SourceError(
                    f"{path} holds {results[0].name} but no samples_*.jsonl that lies inside it: "
                    "run the harness with --log_samples, or give the folder the samples are in"
                )
            return []
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        root = path if path.is_dir() else path.parent
        names: dict[Path, dict[str, str]] = {}
        runs: dict[tuple[str, str], list[_SamplesFile]] = {}
        for file in samples:
            folder = file.path.parent
            if model is None and folder not in names:
                names[folder] = _names_in_results(folder, root)
            of = model or names[folder].get(file.timestamp) or _name_of_folder(file.path)
            runs.setdefault((benchmark or file.task, of), []).append(file)
        if benchmark and len({file.task for file in samples}) > 1:
            raise SourceError(
                f"{path} holds several tasks, and option benchmark names only one: give one "
                "samples file, or leave the option out"
            )
        if model and len({file.path.parent for file in samples}) > 1:
            raise SourceError(
                f"{path} holds several folders of results, and option model names only one "
                "model: give one model's folder, or leave the option out"
            )
        return [
            self._submission(task, of, files, options) for (task, of), files in sorted(runs.items())
        ]

    def _submission(
        self, task: str, model: str, files: list[_SamplesFile], options: Mapping[str, Any]
    ) -> Submission:
        newest, *older = sorted(files, key=lambda file: file.age, reverse=True)
        for file in older:
            if file.age == newest.age:
                raise SourceError(
                    f"{newest.path} and {file.path} are both results of {model} on {task} at "
                    f"{newest.timestamp or 'the same time'}: keep one of them"
                )
        kept: dict[str, Any] = {"task": newest.task, **options}
        if older:
            kept["superseded"] = [str(file.path) for file in older]
        return Submission(
            benchmark=task,
            model=model,
            reader=self.name,
            files=(str(newest.path),),
            revision=file_fingerprint(newest.path),
            options=kept,
        )

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the rows of the deciding filter; other filters' rows are passed over."""
        path = Path(submission.files[0])
        task = submission.options.get("task", submission.benchmark)
        wanted = _choose_filter(path, task, submission.options.get("filter"))

        def is_used(value: Mapping[str, Any]) -> bool:
            # A row with a filter that is no text is left to be rejected.
            of_row = value.get("filter")
            return wanted is None or not isinstance(of_row, str) or of_row == wanted

        rows = rows_of_json_file(path)
        metric = submission.options.get("metric")
        if metric is None and wanted is None:
            # All rows are used: the first ones decide, and need not be read twice.
            first = list(islice(rows, _ROWS_THAT_DECIDE))
            metric = choose_metric([row for _, row in first if isinstance(row, dict)], task)
            rows = chain(first, rows)
        elif metric is None:
            metric = _choose_metric(path, task, is_used)

        def convert(_position: int, value: Any) -> dict[str, Any] | RowError | None:
            if isinstance(value, dict) and not is_used(value):
                return None
            return to_row(value, metric)

        return batches(submission, batch_rows, rows, convert, self.expects)


def _samples_below(folder: Path) -> Iterator[_SamplesFile]:
    for path in files_below(folder):
        if match := _SAMPLES.fullmatch(path.name):
            yield _SamplesFile(path, match[1], match[2])


def _samples_file(path: Path) -> list[_SamplesFile]:
    """Recognise a single file by its name, or by its first row."""
    if match := _SAMPLES.fullmatch(path.name):
        return [_SamplesFile(path, match[1], match[2])]
    if not path.name.lower().endswith(_SUFFIXES):
        return []
    try:
        row = first_row(rows_of_json_file(path))
    except SourceError:
        return []
    if not isinstance(row, dict) or not {"doc_id", "doc", "resps"} <= row.keys():
        return []
    stem = path.name.split(".json")[0].removeprefix("samples_")
    return [_SamplesFile(path, stem, "")]


def _is_results(path: Path) -> bool:
    """Whether a file is the harness's results; lighteval names its own the same."""
    if _RESULTS.fullmatch(path.name) is None:
        return False
    results = results_in(path)
    return results is None or "config_general" not in results


def results_in(path: Path) -> dict[str, Any] | None:
    """Return what a results file holds; None if it cannot be read."""
    try:
        if path.stat().st_size > MAX_RESULTS_BYTES:
            return None
        results = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):
        return None
    return results if isinstance(results, dict) else None


def _names_in_results(folder: Path, root: Path) -> dict[str, str]:
    """Return the models' names that a folder's results files state, by the runs' times."""
    names = {}
    for path in sorted(folder.glob("results_*.json")):
        match = _RESULTS.fullmatch(path.name)
        if match is None or leaves(path, root):
            continue
        # Only the name is wanted; if it cannot be read, the folder has one too.
        results = results_in(path)
        if results is not None and (name := _name_in(results)):
            names[match[1]] = name
    return names


def _name_in(results: Mapping[str, Any]) -> str | None:
    name = results.get("model_name")
    if isinstance(name, str) and name.strip():
        return name
    sanitized = results.get("model_name_sanitized")
    if isinstance(sanitized, str) and sanitized.strip():
        return name_of_sanitized(sanitized)
    config = results.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(arguments, dict):
        arguments = f"pretrained={arguments.get('pretrained') or arguments.get('model') or ''}"
    if isinstance(arguments, str) and (match := _PRETRAINED.search(arguments)):
        return match[1].strip() or None
    return None


def _name_of_folder(path: Path) -> str:
    folder = path.resolve().parent.name
    if not folder:
        raise SourceError(f"{path}: no file says which model it is of: set option model")
    return name_of_sanitized(folder)


def name_of_sanitized(name: str) -> str:
    """Return the model's name of a folder's: `org__model` is `org/model`."""
    return name.replace("__", "/", 1)


def _choose_filter(path: Path, task: str, option: str | None) -> str | None:
    """Decide whose rows are used; None if the file has no filters."""
    first = first_row(rows_of_json_file(path))
    if not isinstance(first, dict) or not isinstance(first.get("filter"), str):
        if option is not None:
            raise SourceError(
                f"{path} has no answer filters (they exist from harness 0.4.7 on): leave option "
                "filter out"
            )
        return None
    rules = [name for start, name in FILTER_OF_TASK if task.startswith(start)]
    preferred = [option] if option is not None else [*rules, *FILTERS]
    if first["filter"] == preferred[0]:
        return preferred[0]
    # The rows of one filter follow those of another: only the whole file tells which there are.
    there = dict.fromkeys(_filters(rows_of_json_file(path)))
    for name in preferred:
        if name in there:
            return name
    if option is not None:
        raise SourceError(
            f"{path} has no rows of filter {option!r}: set option filter to one of "
            f"{', '.join(map(repr, there))}"
        )
    return next(iter(there))


def _choose_metric(
    path: Path, task: str, is_used: Callable[[Mapping[str, Any]], bool]
) -> str | None:
    """Decide by the first rows that are used which metric decides, once for all rows."""
    used = (row for _, row in rows_of_json_file(path) if isinstance(row, dict) and is_used(row))
    return choose_metric(list(islice(used, _ROWS_THAT_DECIDE)), task)


def _filters(rows: Iterable[tuple[int, Any]]) -> Iterator[str]:
    for _, row in rows:
        if isinstance(row, dict) and isinstance(row.get("filter"), str):
            yield row["filter"]
