"""Reader of lm-evaluation-harness outputs: which submissions files hold, and their rows.

All shapes since 0.4.0 are read. What the files of a run say of it is the concern of `lm_eval_runs`,
what a row asked that of `lm_eval_questions`, and what it answered that of `lm_eval_rows`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.formats.lm_eval_questions import (
    FROM_DOCUMENT,
    FROM_OPTIONS,
    FROM_PROMPT,
    NOWHERE,
    WHOLE_PROMPT,
    Questions,
    sources_in,
)
from errclust_pipeline.sources.formats.lm_eval_rows import (
    choose_metric,
    corpus_metric_detail,
    is_perplexity,
    to_row,
)
from errclust_pipeline.sources.formats.lm_eval_runs import (
    ResultsOfFolders,
    RunResults,
    SamplesFile,
    counted_rows,
    is_results,
    model_of,
    name_notes,
    old_samples_file,
    samples_below,
    samples_file,
)
from errclust_pipeline.sources.parsing.archive import open_result_file
from errclust_pipeline.sources.parsing.json_stream import RowError, rows_of_json_file
from errclust_pipeline.sources.parsing.rows import (
    UNSCORED,
    batches_of_files,
    constant_option,
    files_below,
    first_row,
)
from errclust_pipeline.sources.registry import RegisteredReader
from errclust_pipeline.sources.run_conditions import LIMIT, RunCandidate, settle_runs

_ROWS_THAT_DECIDE = 200
"""Number of first rows by which the metric and the rule for questions are chosen."""

_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst")
_FILTER = re.compile(rb'"filter":\s?"([^"\\]{1,80})",\s?"')

FILTERS = ("none", "flexible-extract")
"""Answer filters whose rows are used, best first, if a task has no rule and no option says.

`none` is the whole response, scored as it is. `flexible-extract` forgives the form of the answer,
so that what remains wrong is wrong in substance. After these comes the first in the file.
"""

FILTER_OF_TASK = (("gsm8k", "strict-match"),)
"""Filters that a leaderboard chose, by the beginning of the task's name.

Open LLM Leaderboard v1 scored GSM8K by the number after `####` and nothing else.
"""


class LmEvalReader(RegisteredReader):
    """Outputs of lm-evaluation-harness: a samples file, a model's folder, or a tree of them.

    The benchmark is the task. The model's name is what the harness wrote into the results file of
    the same run: a folder is easily renamed, and its name may be cut or have characters replaced.
    Without a results file it is the folder's name, `org__model` read as `org/model`.

    Runs of one model on one task that differ in their conditions (shots, chat template, revision,
    generation settings) are submissions of their own. Of runs of the same conditions the newest is
    the submission, but one limited to fewer documents never replaces a larger one; see
    `run_conditions`.
    """

    name = "lm_eval"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the submissions of a samples file, a model's folder, or a tree of folders."""
        samples = samples_below(path) if path.is_dir() else _single_file(path)
        if not samples:
            _refuse_results_alone(path)
            return []
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
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
        results_of = ResultsOfFolders(path if path.is_dir() else path.parent)
        runs: list[_Run] = []
        problems: list[SourceError] = []
        for file in samples:
            try:
                runs.append(_run(file, results_of.of(file), options))
            except SourceError as error:
                problems.append(error)
        if problems and not runs:
            raise problems[0]
        _refuse_conflict_alone(runs)
        submissions = settle_runs(_candidates(runs, self.name))
        if problems:
            left_out = tuple(f"{error}: left out" for error in problems)
            first = submissions[0]
            submissions[0] = dataclasses.replace(first, notes=(*first.notes, *left_out))
        return submissions

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the rows of the deciding filter; other filters' rows are skipped."""
        options = submission.options
        task = options.get("task", submission.benchmark)
        conversions = {file: _conversion(Path(file), task, options) for file in submission.files}

        def convert(source: str, _position: int, value: Any) -> dict[str, Any] | RowError | None:
            return conversions[source](value)

        rows = (
            (file, position, value)
            for file in submission.files
            for position, value in rows_of_json_file(Path(file))
        )
        return batches_of_files(submission, batch_rows, rows, convert, self.expects)


# ---- Finding -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """A samples file with what was found out about it."""

    file: SamplesFile
    results: RunResults
    benchmark: str
    model: str
    options: Mapping[str, Any]
    conditions: Mapping[str, str]
    notes: tuple[str, ...]


def _run(file: SamplesFile, results: RunResults, options: Mapping[str, Any]) -> _Run:
    """Look at a samples file's first rows and at its results.

    Raises
    ------
    SourceError
        If its rows have no right and wrong.
    """
    given_model = constant_option(options, "model")
    model = given_model or model_of(file, results)
    rows = _first_rows(file.path)
    if results.output_type(file.task) == "loglikelihood_rolling" or is_perplexity(rows):
        raise SourceError(
            f"{file.path}: task {file.task} measures perplexity, which has no right and wrong "
            "answers: there is nothing to find patterns of errors in. Leave the file out"
        )
    metric = options.get("metric") or choose_metric(rows, file.task)
    scoreless = corpus_metric_detail(metric, rows) if metric and "metric" not in options else None
    if scoreless:
        raise SourceError(
            f"{file.path}: none of its first {len(rows)} rows has a score: {scoreless}"
        )
    kept: dict[str, Any] = {}
    notes = [] if given_model else list(name_notes(file, results, model))
    if rows:
        notes += _filter_notes(file, results, options)
        if metric is None:
            kept[UNSCORED] = True
            notes.append(
                f"{file.path} has no scores (--predict_only): its responses are kept as not "
                "scored. All of them count as errors, so that they can be grouped by what they say"
            )
        elif (
            "higher_is_better" not in options
            and results.higher_is_better(file.task, metric) is False
        ):
            kept["higher_is_better"] = False
            notes.append(
                f"{file.path}: the lower the metric {metric}, the better, as {results.path} "
                "states: a response with a high value counts as an error"
            )
    if description := results.description(file.task):
        kept["description"] = description
    if groups := results.groups(file.task):
        kept["groups"] = groups
    notes += _question_notes(file, rows, description)
    return _Run(
        file=file,
        results=results,
        benchmark=constant_option(options, "benchmark") or file.task,
        model=model,
        options={"task": file.task, **kept, **options},
        conditions=results.conditions(file.task),
        notes=tuple(notes),
    )


def _candidates(runs: Sequence[_Run], reader: str) -> Iterator[RunCandidate]:
    for run in _with_counted_rows(runs):
        yield RunCandidate(
            Submission(
                benchmark=run.benchmark,
                model=run.model,
                reader=reader,
                files=(str(run.file.path),),
                revision=file_fingerprint(run.file.path),
                options=run.options,
                conditions=run.conditions,
                notes=run.notes,
            ),
            run.file.age,
        )


def _with_counted_rows(runs: Sequence[_Run]) -> list[_Run]:
    """Count the rows of runs that compete and do not say how many documents they were limited to.

    The smaller ones are limited runs.
    """
    competing: dict[tuple[str, str], list[_Run]] = {}
    for run in runs:
        competing.setdefault((run.benchmark, run.model), []).append(run)
    counted: list[_Run] = []
    for group in competing.values():
        unknown = [run for run in group if not run.results.of_task("n-samples", run.file.task)]
        rows = counted_rows(run.file.path for run in group) if len(group) > 1 and unknown else {}
        most = max(rows.values(), default=0)
        for run in group:
            mine = rows.get(run.file.path, most)
            if run in unknown and LIMIT not in run.conditions and mine < most:
                conditions = {**run.conditions, LIMIT: str(mine)}
                counted.append(dataclasses.replace(run, conditions=conditions))
            else:
                counted.append(run)
    return counted


def _refuse_conflict_alone(runs: Sequence[_Run]) -> None:
    """Refuse two files of one run, unless there are other runs, of which they keep none back."""
    if len(runs) != 2:
        return
    one, other = runs
    same = (one.benchmark, one.model, one.file.age) == (
        other.benchmark, other.model, other.file.age,
    )  # fmt: skip
    if same and one.conditions == other.conditions:
        raise SourceError(
            f"{one.file.path} and {other.file.path} are both results of {one.model} on "
            f"{one.benchmark} at {one.file.timestamp or 'the same time'}: keep one of them"
        )


def _refuse_results_alone(path: Path) -> None:
    results = [file for file in files_below(path) if is_results(file)] if path.is_dir() else []
    if results:
        raise SourceError(
            f"{path} holds {results[0].name} but no samples_*.jsonl that lies inside it: "
            "run the harness with --log_samples, or give the folder the samples are in"
        )


def _single_file(path: Path) -> list[SamplesFile]:
    """Recognise a single file by its name, or by its first row."""
    if named := samples_file(path):
        return [named]
    if not path.name.lower().endswith(_SUFFIXES):
        return []
    try:
        row = first_row(rows_of_json_file(path))
    except SourceError:
        return []
    if not isinstance(row, dict) or not {"doc_id", "doc", "resps"} <= row.keys():
        return []
    stem = path.name.split(".json")[0].removeprefix("samples_")
    return [old_samples_file(path) or SamplesFile(path, stem)]


def _filter_notes(
    file: SamplesFile, results: RunResults, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """Say which answer filter decides, where there are several and none was chosen."""
    if options.get("filter") is not None:
        return ()
    # Only where the results do not name the filters is the whole file looked through.
    there = results.filters(file.task) or _filters_named(file.path)
    if len(there) < 2:
        return ()
    chosen = _preferred(there, file.task)
    others = ", ".join(name for name in there if name != chosen)
    return (
        f"{file.path} has {len(there)} answer filters: {chosen} decides what is right. The "
        f"others: {others} (--filter chooses)",
    )


def _filters_named(path: Path) -> list[str]:
    """Return the filters that a file's rows seem to name, without parsing them."""
    names: dict[str, None] = {}
    left = b""
    try:
        with open_result_file(path) as stream:
            while chunk := stream.read(1 << 20):
                text = left + chunk
                for name in dict.fromkeys(_FILTER.findall(text)):
                    names[name.decode("utf-8", "replace")] = None
                left = text[-200:]
    except SourceError:
        return []
    return list(names)


def _question_notes(
    file: SamplesFile, rows: Sequence[Mapping[str, Any]], description: str
) -> tuple[str, ...]:
    """Say where questions were not found in the prompts."""
    if not rows:
        return ()
    counts = sources_in(rows, Questions.learn(rows, description))
    what = {
        FROM_DOCUMENT: "the prompts do not show the documents: questions were taken from fields "
        "of the documents, by name",
        WHOLE_PROMPT: "no field of the documents was found in the prompts: a question is the "
        "whole prompt, with instructions and worked examples",
        FROM_OPTIONS: "the prompts show nothing of the documents: a question is its options",
        NOWHERE: "neither prompts nor documents hold a question: such rows are rejected",
    }
    total = sum(counts.values())
    return tuple(
        f"{file.path}: in {counts[source]} of the first {total} rows {said}"
        for source, said in what.items()
        if counts[source] and (source != FROM_OPTIONS or counts[FROM_PROMPT])
    )


# ---- Reading -------------------------------------------------------------------------------------


def _conversion(
    path: Path, task: str, options: Mapping[str, Any]
) -> Callable[[Any], dict[str, Any] | RowError | None]:
    """Return the function that maps a file's row to a response; None for other filters' rows."""
    wanted = _choose_filter(path, task, options.get("filter"))

    def is_used(value: Mapping[str, Any]) -> bool:
        # A row with a filter that is no text is left to be rejected.
        of_row = value.get("filter")
        return wanted is None or not isinstance(of_row, str) or of_row == wanted

    first = _first_rows(path)
    questions = Questions.learn(first, options.get("description") or "")
    metric = options.get("metric")
    is_scored = True
    if metric is None:
        used = list(filter(is_used, first))
        if not used:
            every = (row for _, row in rows_of_json_file(path) if isinstance(row, dict))
            used = list(islice(filter(is_used, every), _ROWS_THAT_DECIDE))
        metric = choose_metric(used, task)
        is_scored = metric is not None or not any("resps" in row for row in used)

    def convert(value: Any) -> dict[str, Any] | RowError | None:
        if isinstance(value, dict) and not is_used(value):
            return None
        return to_row(value, metric, questions, is_scored)

    return convert


def _first_rows(path: Path) -> list[Mapping[str, Any]]:
    """Return a file's first rows, of whatever filter; none if it cannot be read."""
    try:
        rows = (row for _, row in rows_of_json_file(path) if isinstance(row, dict))
        return list(islice(rows, _ROWS_THAT_DECIDE))
    except SourceError:
        return []


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
    wanted = option or _first_choice(task)
    if first["filter"] == wanted:
        return wanted
    # The rows of one filter follow those of another: only the whole file tells which there are.
    there = dict.fromkeys(_filters(rows_of_json_file(path)))
    if option is not None and option not in there:
        raise SourceError(
            f"{path} has no rows of filter {option!r}: set option filter to one of "
            f"{', '.join(map(repr, there))}"
        )
    return option if option is not None else _preferred(list(there), task)


def _first_choice(task: str) -> str:
    rules = [name for start, name in FILTER_OF_TASK if task.startswith(start)]
    return [*rules, *FILTERS][0]


def _preferred(there: Sequence[str], task: str) -> str:
    """Return the filter whose rows are used, of those that there are."""
    rules = [name for start, name in FILTER_OF_TASK if task.startswith(start)]
    return next((name for name in (*rules, *FILTERS) if name in there), there[0])


def _filters(rows: Iterator[tuple[int, Any]]) -> Iterator[str]:
    for _, row in rows:
        if isinstance(row, dict) and isinstance(row.get("filter"), str):
            yield row["filter"]
