"""The Open LLM Leaderboards: each model's details are a dataset of its own, with all its runs.

Which files count is decided here by their names, so that no others are fetched. What is in them is
read by `sources`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.download import HubFile
from errclust_pipeline.hub.errors import HubMissingError
from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.sources.formats.lm_eval_rows import metric_of_task
from errclust_pipeline.sources.formats.lm_eval_runs import results_in, task_and_time, time_key
from errclust_pipeline.sources.formats.open_llm_leaderboard_v1 import (
    OpenLlmLeaderboardV1Reader,
    choose_runs,
    details_of,
)

_MODEL = re.compile(r"[A-Za-z0-9][\w.\-]*(?:/[A-Za-z0-9][\w.\-]*)?", re.ASCII)
_TOP_GROUP = "leaderboard_"
_MAX_ROWS = 10**9
_FLAGGED, _SUBMITTED = "Flagged", "Submission Date"


@dataclass(frozen=True)
class DetailsFile:
    """A result file in a model's details, its benchmark, and the time of its run."""

    file: HubFile
    benchmark: str
    timestamp: str


class Leaderboard:
    """Version 2 of the leaderboard, whose details are outputs of lm-evaluation-harness.

    Attributes
    ----------
    owner : str
        The organisation that holds the leaderboard's datasets.
    reader : str
        The reader of its details.
    reads_results : bool
        Whether a run's results file is fetched too, for the model's name and what it scored.
    """

    owner = "open-llm-leaderboard"
    reader = "lm_eval"
    reads_results = True

    def repository(self, model: str) -> str:
        """Return the dataset that holds a model's details."""
        return f"{self.owner}/{model.replace('/', '__')}-details"

    def is_details(self, name: str) -> bool:
        """Return whether a dataset of that name holds a model's details."""
        return name.endswith("-details")

    def details_file(self, file: HubFile) -> DetailsFile | None:
        """Return a file with its benchmark and run; None if it holds no details."""
        found = task_and_time(file.path)
        return DetailsFile(file, *found) if found else None

    def choose(self, files: Iterable[DetailsFile]) -> dict[str, list[DetailsFile]]:
        """Return the files of each benchmark's newest run."""
        newest: dict[str, DetailsFile] = {}
        for file in sorted(files, key=lambda file: time_key(file.timestamp)):
            newest[file.benchmark] = file
        return {benchmark: [newest[benchmark]] for benchmark in sorted(newest)}

    def submissions(
        self, files: Mapping[str, Sequence[Path]], options: Mapping[str, Any]
    ) -> list[Submission]:
        """Return the submissions in fetched files, which are given by benchmark."""
        submissions = []
        for [path] in files.values():
            for submission in find_submissions(path, reader=self.reader, options=options):
                published = _published(submission, path)
                extra = {} if published is None else {"published": published}
                submissions.append(
                    dataclasses.replace(submission, options={**submission.options, **extra})
                )
        return submissions


def _published(submission: Submission, path: Path) -> dict[str, float] | None:
    """Return the score and the number of samples that a run's results file states."""
    found = task_and_time(path.name)
    results = results_in(path.with_name(f"results_{found[1]}.json")) if found else None
    if results is None:
        return None
    task = str(submission.options["task"])
    metric = submission.options.get("metric") or metric_of_task(task)
    score = _value_at(results, "results", task, f"{metric},none")
    rows = _value_at(results, "n-samples", task, "effective")
    is_score = isinstance(score, int | float) and 0 <= score <= 1
    if not is_score or not isinstance(rows, int) or not 0 <= rows < _MAX_ROWS:
        return None
    return {"score": score, "rows": rows}


def _value_at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class FirstLeaderboard(Leaderboard):
    """Version 1 of the leaderboard, with details in Parquet."""

    owner = "open-llm-leaderboard-old"
    reader = OpenLlmLeaderboardV1Reader.name
    reads_results = False

    def repository(self, model: str) -> str:
        """Return the dataset that holds a model's details."""
        return f"{self.owner}/details_{model.replace('/', '__')}"

    def is_details(self, name: str) -> bool:
        """Return whether a dataset of that name holds a model's details."""
        return name.startswith("details_")

    def details_file(self, file: HubFile) -> DetailsFile | None:
        """Return a file with its benchmark and run; None if it holds no details."""
        details = details_of(file.path)
        return DetailsFile(file, details.benchmark, details.timestamp) if details else None

    def choose(self, files: Iterable[DetailsFile]) -> dict[str, list[DetailsFile]]:
        """Return the files of each benchmark's newest run."""
        by_path = {file.file.path: file for file in files}
        runs = choose_runs(details for path in by_path if (details := details_of(path)))
        return {
            benchmark: [by_path[details.path] for details in run] for benchmark, run in runs.items()
        }

    def submissions(
        self, files: Mapping[str, Sequence[Path]], options: Mapping[str, Any]
    ) -> list[Submission]:
        """Return the submissions in fetched files, which are given by benchmark."""
        reader = OpenLlmLeaderboardV1Reader()
        return [reader.submission(benchmark, paths, options) for benchmark, paths in files.items()]


LEADERBOARDS: Mapping[str, Leaderboard] = {
    leaderboard.owner: leaderboard for leaderboard in (Leaderboard(), FirstLeaderboard())
}
"""The leaderboards by the organisation that holds their datasets."""


@dataclass(frozen=True)
class RankedModel:
    """A model in a leaderboard's table, its average, and when it was submitted."""

    name: str
    average: float
    submitted: str | None = None


def top_models(hub: Hub, owner: str, top: int) -> list[RankedModel]:
    """Return the best models of a leaderboard by their average, from its dataset ``contents``.

    The best submission of a model counts; submissions that the leaderboard flagged do not.

    Parameters
    ----------
    hub : Hub
    owner : str
        The organisation that holds the leaderboard's datasets.
    top : int
        Number of models.

    Raises
    ------
    HubError, SourceError
        If there is no such table, or it cannot be used.
    """
    if top < 1:
        raise SourceError(f"--top {top}: how many models, at least 1?")
    repository = f"{owner}/contents"
    try:
        commit = hub.commit(repository)
    except HubMissingError as error:
        raise HubMissingError(
            f"{error}. Without it nothing says which are best: name a model with --model"
        ) from error
    files = [file for file in hub.files(repository, commit) if file.path.endswith(".parquet")]
    if not files:
        raise SourceError(f"{repository} holds no table: name the models with --model")
    best: dict[str, RankedModel] = {}
    for path in hub.fetch(repository, commit, files):
        for model in _ranked_models(path):
            if model.name not in best or best[model.name].average < model.average:
                best[model.name] = model
    if not best:
        raise SourceError(f"{repository} names no model with an average: use --model")
    return sorted(best.values(), key=lambda model: (-model.average, model.name))[:top]


def _ranked_models(path: Path) -> Iterator[RankedModel]:
    """Yield the models in the table ``contents`` that have an average and are not flagged."""
    try:
        columns = [str(name) for name in pq.read_schema(path).names]
        average = next((name for name in columns if name.startswith("Average")), None)
        needed = ("fullname", average, _FLAGGED, _SUBMITTED)
        rows = pq.read_table(path, columns=[name for name in needed if name in columns]).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if average is None or "fullname" not in columns:
        raise SourceError(
            f"{path} has no columns fullname and Average; its columns: {', '.join(columns[:40])}. "
            "Name the models with --model"
        )
    for row in rows:
        name, value = row["fullname"], row[average]
        if (
            is_model_name(name)
            and isinstance(value, int | float)
            and not math.isnan(value)
            and not row.get(_FLAGGED)
        ):
            submitted = row.get(_SUBMITTED)
            yield RankedModel(name, value, None if submitted is None else str(submitted))


def is_model_name(name: Any) -> bool:
    """Return whether something is a model's name on the hub, ``org/name`` or ``name``."""
    return isinstance(name, str) and _MODEL.fullmatch(name) is not None


@dataclass(frozen=True)
class WantedDetails:
    """Which of a model's details are wanted, and how they are read.

    Attributes
    ----------
    revision : str or None
        Revision of the dataset with the details.
    benchmark : str or None
        The only benchmark, or a group of benchmarks such as ``bbh``.
    timestamp : str or None
        The time of the run, of which the beginning suffices; otherwise the newest of each
        benchmark.
    options : mapping
        The reader's settings.
    """

    revision: str | None = None
    benchmark: str | None = None
    timestamp: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def fetch_details(
    hub: Hub, leaderboard: Leaderboard, repository: str, wanted: WantedDetails
) -> list[Submission]:
    """Fetch what is wanted of a model's details, and return the submissions in it.

    Raises
    ------
    HubError, SourceError
        If there are no such details, or they cannot be fetched or used.
    """
    try:
        commit = hub.commit(repository, wanted.revision)
    except HubMissingError as error:
        owner, _, name = repository.partition("/")
        words = name.removeprefix("details_").removesuffix("-details").rpartition("__")[2]
        similar = [
            other
            for other in hub.similar(owner, words)
            if leaderboard.is_details(other.rpartition("/")[2])
        ]
        hint = f". Similar ones there: {', '.join(similar)}" if similar else ""
        raise HubMissingError(f"{error}{hint}") from error
    listed = hub.files(repository, commit)
    details = [found for file in listed if (found := leaderboard.details_file(file))]
    if not details:
        raise SourceError(f"{repository} holds no details of answers at {commit}")
    details = _of_benchmark(details, wanted.benchmark, repository)
    chosen = leaderboard.choose(_of_run(details, wanted.timestamp, repository))
    files = [file for run in chosen.values() for file in run]
    results = {f"results_{file.timestamp}.json" for file in files}
    beside = [
        file
        for file in listed
        if leaderboard.reads_results and file.path.rpartition("/")[2] in results
    ]
    paths = hub.fetch(repository, commit, [*(file.file for file in files), *beside])
    path_of = dict(zip(files, paths, strict=False))
    return leaderboard.submissions(
        {benchmark: [path_of[file] for file in run] for benchmark, run in chosen.items()},
        wanted.options,
    )


def _of_benchmark(
    files: Sequence[DetailsFile], benchmark: str | None, repository: str
) -> list[DetailsFile]:
    """Return the files of a benchmark, or of a group of them such as ``leaderboard_bbh``."""
    if benchmark is None:
        return list(files)
    names = (benchmark, f"{_TOP_GROUP}{benchmark}")
    groups = tuple(f"{name}_" for name in names)
    chosen = [file for file in files if file.benchmark in names]
    chosen = chosen or [file for file in files if file.benchmark.startswith(groups)]
    if not chosen:
        known = sorted({file.benchmark for file in files})
        raise SourceError(
            f"{repository} has no benchmark {benchmark!r}; it has: {', '.join(known)}"
        )
    return chosen


def _of_run(
    files: Sequence[DetailsFile], timestamp: str | None, repository: str
) -> list[DetailsFile]:
    """Return the files of the run whose time begins with a text."""
    if timestamp in (None, "latest"):
        return list(files)
    digits = re.sub(r"\D", "", str(timestamp))
    chosen = [
        file for file in files if digits and "".join(time_key(file.timestamp)).startswith(digits)
    ]
    runs = sorted({file.timestamp for file in chosen})
    if len(runs) != 1:
        known = ", ".join(runs or sorted({file.timestamp for file in files}))
        what = "several runs" if runs else "no run"
        raise SourceError(f"{repository} has {what} of {timestamp!r}; choose one of: {known}")
    return chosen
