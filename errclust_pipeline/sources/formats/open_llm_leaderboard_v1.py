"""Reader of the first Open LLM Leaderboard's details: Parquet files, one a task and run.

They lie in datasets ``open-llm-leaderboard-old/details_<org>__<model>``, as
``<time>/details_harness|<task>|<shots>_<time>.parquet``. Whether a response is right stands in one
of three places: a column ``acc``, a column ``metrics.acc``, or a member of a column ``metrics``.
The oldest files hold the question in ``query`` and in ``example`` the dataset's own id; the later
ones hold it in ``example``.

The harness of that time is not the one that `lm_eval` reads, but benchmarks are named like its
tasks of today, and questions are freed from their prompt, so that a new run of the same benchmark
lies on the same map. The 57 subjects of MMLU are one benchmark, ``mmlu``, each a `subject` of it: a
map of 14,042 questions says more than 57 of a hundred.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.formats.lm_eval_rows import (
    KNOWN_METRICS,
    lengths_of,
    metric_value,
    most_likely,
)
from errclust_pipeline.sources.formats.lm_eval_runs import (
    TIMESTAMP,
    name_of_sanitized,
    results_in,
    time_key,
)
from errclust_pipeline.sources.formats.table_files import arrow_schema, parquet_rows
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.rows import (
    batches_of_files,
    choice_number,
    constant_option,
    files_below,
    leaves,
    metadata_json,
    text_of,
    texts_of,
)
from errclust_pipeline.sources.registry import RegisteredReader

MMLU = "mmlu"
_MMLU_TASK = "hendrycksTest-"
_BENCHMARK_OF_TASK = {"arc:challenge": "arc_challenge", "truthfulqa:mc": "truthfulqa_mc2"}
"""Whose names are no longer the harness's."""

SHOTS = {
    "arc_challenge": 25,
    "hellaswag": 10,
    MMLU: 5,
    "truthfulqa_mc2": 0,
    "winogrande": 5,
    "gsm8k": 5,
    "drop": 3,
}
"""With how many worked examples in the prompt the leaderboard asked."""

METRICS = {
    "arc_challenge": "acc_norm",
    "hellaswag": "acc_norm",
    MMLU: "acc",
    "truthfulqa_mc2": "mc2",
    "winogrande": "acc",
    "gsm8k": "acc",
    "drop": "f1",
}
"""The metric that the leaderboard ranked by, for each task."""

_DETAILS = re.compile(rf"details_harness\|(.+)\|(\d+)_{TIMESTAMP}\.parquet")
_REPOSITORY = re.compile(r"(?:.*--)?details_(.+)")
_QUESTION_COLUMNS = ("query", "question", "sentence", "example")
_COLUMNS = (
    *_QUESTION_COLUMNS, "instruction", "passage", "choices", "mc1_targets", "gold", "gold_index",
    "predictions", "metrics", "hash", "num_effective_few_shots",
)  # fmt: skip
_KNOWN_METRICS = (*KNOWN_METRICS, "qem")
_IN_COLUMN = "metrics."
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Details:
    """A details file, by what its name says; `path` is a local path or one in a repository."""

    path: str
    benchmark: str
    subject: str | None
    shots: int
    timestamp: str


def details_of(path: str) -> Details | None:
    """Return what a file's name says; None if it is not named like a details file."""
    match = _DETAILS.fullmatch(path.rpartition("/")[2])
    if match is None:
        return None
    task, shots, timestamp = match.groups()
    if task.startswith(_MMLU_TASK):
        return Details(path, MMLU, task.removeprefix(_MMLU_TASK), int(shots[:6]), timestamp)
    benchmark = _BENCHMARK_OF_TASK.get(task, task.replace(":", "_"))
    return Details(path, benchmark, None, int(shots[:6]), timestamp)


def choose_runs(details: Iterable[Details]) -> dict[str, list[Details]]:
    """Choose of each benchmark the run that counts; return its files, sorted, by benchmark.

    That is the newest of those with as many worked examples as the leaderboard used (else the
    most there are); of MMLU, the newest of those that hold the most subjects.
    """
    of_benchmark: dict[str, list[Details]] = {}
    for one in details:
        of_benchmark.setdefault(one.benchmark, []).append(one)
    chosen = {}
    for benchmark, files in sorted(of_benchmark.items()):
        shots = {one.shots for one in files}
        wanted = SHOTS[benchmark] if SHOTS.get(benchmark) in shots else max(shots)
        runs: dict[str, dict[str | None, Details]] = {}
        for one in files:
            if one.shots == wanted:
                runs.setdefault(one.timestamp, {})[one.subject] = one
        newest = max(runs.values(), key=_completeness_and_time)
        chosen[benchmark] = sorted(newest.values(), key=lambda one: one.path)
    return chosen


def _completeness_and_time(run: Mapping[str | None, Details]) -> tuple[int, tuple[str, str]]:
    return len(run), time_key(next(iter(run.values())).timestamp)


class OpenLlmLeaderboardV1Reader(RegisteredReader):
    """Details of the first Open LLM Leaderboard: one file, a run's folder, or a model's folder.

    The model's name is that of the dataset (a folder ``details_<org>__<model>`` on the way to the
    files), else what the run's ``results_<time>.json`` states.
    """

    name = "open_llm_leaderboard_v1"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the submissions of a file or a folder; of several runs the newest counts."""
        files = files_below(path) if path.is_dir() else [path]
        found: dict[str, list[Details]] = {}
        for file in files:
            if one := details_of(str(file)):
                found.setdefault(_model_of(file, path, options), []).append(one)
        submissions = []
        for _, details in sorted(found.items()):
            for benchmark, chosen in choose_runs(details).items():
                if benchmark == MMLU and not path.is_dir():
                    raise SourceError(
                        f"{path} is one of MMLU's 57 subjects: give the folder they lie in, since "
                        "they are one benchmark"
                    )
                files = [Path(one.path) for one in chosen]
                submissions.append(self.submission(benchmark, files, options, path))
        return submissions

    def submission(
        self,
        benchmark: str,
        files: Sequence[Path],
        options: Mapping[str, Any],
        root: Path | None = None,
    ) -> Submission:
        """Return the submission that a run's files of one benchmark are.

        Parameters
        ----------
        root : Path, optional
            The folder in which the model's name is looked for, if it is not in the files' paths.
        """
        details = details_of(str(files[0]))
        return Submission(
            benchmark=constant_option(options, "benchmark") or benchmark,
            model=_model_of(files[0], root or files[0], options),
            reader=self.name,
            files=tuple(map(str, files)),
            revision=file_fingerprint(*files),
            options={**options, "task": benchmark, "shots": details.shots if details else None},
        )

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the rows of all files; a row is numbered within its file and subject."""
        benchmark = submission.options.get("task", submission.benchmark)
        metric = submission.options.get("metric") or METRICS.get(benchmark)
        subjects: dict[str, str | None] = {}
        found: dict[str, str] = {}
        for file in submission.files:
            details = details_of(file)
            subjects[file] = details.subject if details else None
            found[file] = _choose_metric(file, metric)
        differing = [file for file in found if found[file] != found[submission.files[0]]]
        if differing:
            raise SourceError(
                f"{differing[0]} has {found[differing[0]]} where {submission.files[0]} has "
                f"{found[submission.files[0]]}: set option metric to one that all files have"
            )

        def convert(source: str, position: int, row: Any) -> dict[str, Any] | RowError:
            return _to_row(position, row, found[source], subjects[source])

        rows = (
            (file, position, row)
            for file in submission.files
            for position, row in parquet_rows(Path(file), _wanted_columns(file))
        )
        return batches_of_files(submission, batch_rows, rows, convert, self.expects)


def _model_of(file: Path, root: Path, options: Mapping[str, Any]) -> str:
    option = constant_option(options, "model")
    if option is not None:
        return option
    for folder in file.resolve().parents:
        if match := _REPOSITORY.fullmatch(folder.name):
            return name_of_sanitized(match[1])
    root = root.resolve() if root.is_dir() else root.resolve().parent
    for folder in file.resolve().parents:
        if not folder.is_relative_to(root):
            break
        for path in sorted(folder.glob("results_*.json"), reverse=True):
            if not leaves(path, root) and (name := _name_in_results(path)):
                return name
    raise SourceError(
        f"{file}: no folder details_<org>__<model> and no results_*.json says which model it is "
        "of: set option model (--model)"
    )


def _name_in_results(path: Path) -> str | None:
    config = (results_in(path) or {}).get("config_general")
    name = config.get("model_name") if isinstance(config, dict) else None
    return name if isinstance(name, str) and name.strip() else None


def _metrics_in(path: str) -> list[str]:
    """Return the metrics that a file has, wherever they stand."""
    schema = arrow_schema(Path(path))
    names = [str(name).removeprefix(_IN_COLUMN) for name in schema.names]
    if "metrics" in schema.names and pa.types.is_struct(schema.field("metrics").type):
        names += [field.name for field in schema.field("metrics").type]
    return names


def _choose_metric(path: str, wanted: str | None) -> str:
    """Return the metric wanted if the file has it; if none is, the first of the known ones."""
    there = _metrics_in(path)
    known = [name for name in _KNOWN_METRICS if name in there]
    # A column `metrics` of another type than a struct shows only in its rows what it holds.
    if wanted is not None and (wanted in there or ("metrics" in there and not known)):
        return wanted
    if wanted is not None or not known:
        raise SourceError(
            f"{path} has no metric {wanted or 'that is known'}; its columns: "
            f"{', '.join(there[:40])}. Set option metric to one that says what is right"
        )
    return known[0]


def _wanted_columns(path: str) -> list[str]:
    """Return the columns that are read: the prompts and tokens, the bulk of a file, are not."""
    return [
        name
        for name in dict.fromkeys(arrow_schema(Path(path)).names)
        if name in _COLUMNS or name in _KNOWN_METRICS or name.startswith(_IN_COLUMN)
    ]


def _to_row(position: int, row: Any, metric: str, subject: str | None) -> dict[str, Any] | RowError:
    if not isinstance(row, dict):
        return RowError("not_an_object", f"the row is a {type(row).__name__}")
    metrics = _metrics(row)
    score = _score(metric, metrics.get(metric))
    if isinstance(score, RowError):
        return score
    text = _first_text(row, _QUESTION_COLUMNS)
    if text is None:
        return RowError("missing_question", "the row has no question in query or example")
    likelihoods = _numbers(row.get("predictions"))
    row, choices = _with_targets(row), None
    if likelihoods is not None:
        choices = texts_of(_parsed(row.get("choices")))
    if choices is not None and likelihoods is not None and len(choices) > len(likelihoods):
        choices = None
    # MMLU's are letters here, and replaced by what they stand for below.
    scored = choices or []
    instruction = row.get("instruction")
    if isinstance(instruction, str):
        # The same before every question of a subject.
        text = text.removeprefix(instruction)
    question, choices = _without_prompt(text, choices)
    passage = row.get("passage")
    if isinstance(passage, str) and passage.strip() and passage not in question:
        question = f"{passage}\n\n{question}"
    converted: dict[str, Any] = {
        "example_id": f"{subject}:{position}" if subject else str(position),
        "subject": subject,
        "question": question,
        "score": score,
        "metric": metric,
        "metadata": metadata_json(_metadata(row, metrics, metric)),
    }
    if likelihoods is None:
        return converted | {
            "gold": _gold_text(row),
            "response": text_of(_first(_parsed(row.get("predictions")))) or "",
            "extraction_recorded": False,
        }
    if choices is not None:
        likelihoods = likelihoods[: len(choices)]
    chosen = most_likely(likelihoods, choices or (), metric)
    gold = _gold_choice(row, choices, len(likelihoods))
    return converted | {
        "choices": choices,
        "choice_log_likelihoods": likelihoods,
        "choice_lengths": lengths_of(scored, len(likelihoods)),
        "gold_choice": gold,
        "gold": choices[gold] if choices and gold is not None else _gold_text(row),
        "predicted_choice": chosen,
        "prediction": choices[chosen] if choices and chosen is not None else None,
        "extraction_recorded": True,
    }


def _with_targets(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with its options where the oldest files of TruthfulQA have `mc1_targets`."""
    targets = _parsed(row.get("mc1_targets"))
    if not isinstance(targets, dict) or row.get("choices"):
        return row
    labels = targets.get("labels")
    gold = labels.index(1) if isinstance(labels, list) and 1 in labels else None
    return {**row, "choices": targets.get("choices"), "gold_index": gold}


def _metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    """Gather a row's metrics from the three places they may stand in."""
    found = {name: row[name] for name in _KNOWN_METRICS if row.get(name) is not None}
    for name, value in row.items():
        if name.startswith(_IN_COLUMN) and value is not None:
            found[name.removeprefix(_IN_COLUMN)] = value
    inside = _parsed(row.get("metrics"))
    if isinstance(inside, list):
        # A map, as Arrow gives it.
        pairs = [one for one in inside if isinstance(one, tuple) and len(one) == 2]
        inside = {str(name): value for name, value in pairs}
    if isinstance(inside, dict):
        found |= {str(name): value for name, value in inside.items() if value is not None}
    return found


def _score(metric: str, value: Any) -> float | int | RowError:
    if value is None:
        return RowError("missing_metric", f"the row has no value of metric {metric!r}")
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    return metric_value(metric, value)


def _first_text(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return None


def _without_prompt(text: str, choices: list[str] | None) -> tuple[str, list[str] | None]:
    """Return the question without the words that the harness put around it, and its options.

    MMLU's options stand in the question, and are letters where they should.
    """
    question = text.strip()
    if question.endswith("\nA:") and "\nQ: " in f"\n{question}":
        question = f"\n{question}".rpartition("\nQ: ")[2].removesuffix("A:").strip()
    question = question.removesuffix("Answer:").rstrip()
    question = question.removeprefix("Question:").lstrip()
    if choices and [one.strip() for one in choices] == list(_LETTERS[: len(choices)]):
        starts = [0]
        for letter in _LETTERS[: len(choices)]:
            # The last option A: the question may hold a list of its own.
            mark = f"\n{letter}. "
            at = question.rfind(mark) if letter == "A" else question.find(mark, starts[-1])
            if at < 0:
                return question or text, choices
            starts.append(at + len(mark))
        ends = [start - len("\nA. ") for start in starts[2:]] + [len(question)]
        options = [question[a:b].strip() for a, b in zip(starts[1:], ends, strict=True)]
        return question[: starts[1] - len("\nA. ")].strip() or text, options
    return question or text, [one.strip() for one in choices] if choices else None


def _numbers(predictions: Any) -> list[float] | None:
    """Return the options' log-likelihoods; None if text was generated."""
    values = _parsed(predictions)
    if not isinstance(values, list) or not values:
        return None
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    numbers = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        if isinstance(value, str) and len(values) == 1:
            return None
        try:
            numbers.append(float(value))
        except (ValueError, OverflowError):
            return None
    return numbers or None


def _parsed(value: Any) -> Any:
    """Read a list or object that was written as text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _first(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _gold_choice(row: Mapping[str, Any], choices: list[str] | None, count: int) -> int | None:
    for name in ("gold_index", "gold"):
        value = _first(_parsed(row.get(name)))
        if isinstance(value, str):
            text = value.strip()
            if text.isascii() and text.isdigit() and len(text) < 5 and name == "gold_index":
                value = int(text)
            elif choices and text in choices:
                return choices.index(text)
            elif len(text) == 1 and text in _LETTERS:
                value = _LETTERS.index(text)
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        number = choice_number(value, count)
        if number is not None:
            return number
    return None


def _gold_text(row: Mapping[str, Any]) -> str | None:
    value = _first(_parsed(row.get("gold")))
    return None if value is None or value == "" else text_of(value)


def _metadata(row: Mapping[str, Any], metrics: Mapping[str, Any], metric: str) -> dict[str, Any]:
    other = {
        name: value
        for name, value in metrics.items()
        if name != metric
        and isinstance(value, bool | int | float)
        and not (isinstance(value, float) and math.isnan(value))
    }
    shots = row.get("num_effective_few_shots")
    return {"few_shots": shots, "hash": row.get("hash"), **other}
