"""Ingestion from the hub: the Open LLM Leaderboards, and any dataset that holds result files.

The leaderboards keep each model's details in a dataset of its own, with all its runs; which files
count is chosen here by their names, so that no others are fetched. Everything else is the readers'.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.hub.address import HubAddress
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.download import Fetched, HubFile
from errclust_pipeline.hub.errors import HubError, HubMissingError
from errclust_pipeline.ingestion.files import Ingested, find_all, record
from errclust_pipeline.sources import SourceError, check_options, find_submissions
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.sources.formats.lm_eval import (
    name_of_sanitized,
    results_in,
    task_and_time,
    time_key,
)
from errclust_pipeline.sources.formats.lm_eval_rows import metric_of_task
from errclust_pipeline.sources.formats.open_llm_leaderboard_v1 import (
    OpenLlmLeaderboardV1Reader,
    choose_runs,
    details_of,
)
from errclust_pipeline.warehouse.keys import RecordedPartition
from errclust_pipeline.warehouse.submissions import partition_of_submission
from errclust_pipeline.warehouse.warehouse import Warehouse

MOST_BYTES = 20 << 30
"""A dataset with more than this in result files is not fetched whole."""

_RESULT_ENDINGS = (
    ".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".zip", ".gz", ".zst", ".eval", ".pkl",
    ".tsv", ".arrow", ".feather",
)  # fmt: skip
_MODEL = re.compile(r"[A-Za-z0-9][\w.\-]*(?:/[A-Za-z0-9][\w.\-]*)?", re.ASCII)
_TOP_GROUP = "leaderboard_"
_MOST_ROWS = 10**9
_FLAGGED, _SUBMITTED = "Flagged", "Submission Date"


@dataclass(frozen=True)
class _Entry:
    """A result file in a model's details: which benchmark it is of, and from which run."""

    file: HubFile
    benchmark: str
    timestamp: str


class _Leaderboard:
    """Version 2, whose details are outputs of lm-evaluation-harness."""

    owner = "open-llm-leaderboard"
    reader = "lm_eval"
    reads_results = True
    """Whether a run's results file is fetched too: for the model's name and what it scored."""

    def repository(self, model: str) -> str:
        return f"{self.owner}/{model.replace('/', '__')}-details"

    def is_details(self, name: str) -> bool:
        return name.endswith("-details")

    def entry(self, file: HubFile) -> _Entry | None:
        found = task_and_time(file.path)
        return _Entry(file, *found) if found else None

    def choose(self, entries: Iterable[_Entry]) -> dict[str, list[_Entry]]:
        """Choose the newest run of each benchmark."""
        newest: dict[str, _Entry] = {}
        for entry in sorted(entries, key=lambda entry: time_key(entry.timestamp)):
            newest[entry.benchmark] = entry
        return {benchmark: [newest[benchmark]] for benchmark in sorted(newest)}

    def submissions(
        self, files: Mapping[str, Sequence[Path]], options: Mapping[str, Any]
    ) -> list[Submission]:
        """Return the submissions in fetched files, which are given by benchmark."""
        found = []
        for [path] in files.values():
            for submission in find_submissions(path, reader=self.reader, options=options):
                published = _published(submission, path)
                extra = {} if published is None else {"published": published}
                found.append(
                    dataclasses.replace(submission, options={**submission.options, **extra})
                )
        return found


def _published(submission: Submission, path: Path) -> dict[str, float] | None:
    """Return what a run's results file says that samples score, and how many there are."""
    found = task_and_time(path.name)
    results = results_in(path.with_name(f"results_{found[1]}.json")) if found else None
    if results is None:
        return None
    task = str(submission.options["task"])
    metric = submission.options.get("metric") or metric_of_task(task)
    score = _inside(results, "results", task, f"{metric},none")
    rows = _inside(results, "n-samples", task, "effective")
    is_score = isinstance(score, int | float) and 0 <= score <= 1
    if not is_score or not isinstance(rows, int) or not 0 <= rows < _MOST_ROWS:
        return None
    return {"score": score, "rows": rows}


def _inside(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class _FirstLeaderboard(_Leaderboard):
    """Version 1, with details in Parquet."""

    owner = "open-llm-leaderboard-old"
    reader = OpenLlmLeaderboardV1Reader.name
    reads_results = False

    def repository(self, model: str) -> str:
        return f"{self.owner}/details_{model.replace('/', '__')}"

    def is_details(self, name: str) -> bool:
        return name.startswith("details_")

    def entry(self, file: HubFile) -> _Entry | None:
        details = details_of(file.path)
        return _Entry(file, details.benchmark, details.timestamp) if details else None

    def choose(self, entries: Iterable[_Entry]) -> dict[str, list[_Entry]]:
        of_path = {entry.file.path: entry for entry in entries}
        runs = choose_runs(details for path in of_path if (details := details_of(path)))
        return {benchmark: [of_path[one.path] for one in run] for benchmark, run in runs.items()}

    def submissions(
        self, files: Mapping[str, Sequence[Path]], options: Mapping[str, Any]
    ) -> list[Submission]:
        reader = OpenLlmLeaderboardV1Reader()
        return [reader.submission(benchmark, paths, options) for benchmark, paths in files.items()]


LEADERBOARDS: Mapping[str, _Leaderboard] = {
    leaderboard.owner: leaderboard for leaderboard in (_Leaderboard(), _FirstLeaderboard())
}
"""The leaderboards by the organisation that holds their datasets."""


@dataclass(frozen=True)
class RankedModel:
    """A model in a leaderboard's table: its average there, and when it was submitted."""

    name: str
    average: float
    submitted: str | None = None


@dataclass
class FromHub:
    """What an ingestion from the hub gave.

    Attributes
    ----------
    ingested : list of Ingested
    problems : mapping from a model to the reason
        Models of a leaderboard that could not be had, while others could.
    best : list of RankedModel
        The best models, where so many were asked for.
    fetched : Fetched
        How much came over the network; the rest was kept from before.
    """

    ingested: list[Ingested] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    best: list[RankedModel] = field(default_factory=list)
    fetched: Fetched = field(default_factory=Fetched)


def ingest_from_hub(
    warehouse: Warehouse,
    address: HubAddress,
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    copy: bool = False,
    *,
    timestamp: str | None = None,
    top: int | None = None,
    on_model: Callable[[str], None] = lambda _: None,
    on_model_done: Callable[[], None] = lambda: None,
) -> FromHub:
    """Fetch result files from the hub and record the submissions in them.

    A model's submissions are recorded when all of its files are there. What was fetched is kept:
    who is interrupted goes on where it was.

    Parameters
    ----------
    address : HubAddress
        A leaderboard's organisation, a model's details there, or any dataset.
    options : mapping, optional
        The reader's settings. Of a leaderboard, `model` and `benchmark` say what is wanted.
    timestamp : str, optional
        Of a leaderboard, which run is wanted, instead of the newest of each benchmark.
    top : int, optional
        Of a leaderboard: so many models, the best by their average.
    on_model, on_model_done : callable, optional
        Told each model's name before it is fetched, and when that is over.

    Raises
    ------
    HubError
        If nothing could be had.
    SourceError
        If nothing there can be used.
    """
    hub, options = Hub(), dict(options or {})
    result = FromHub(fetched=hub.fetched)
    leaderboard = LEADERBOARDS.get(address.owner)
    if leaderboard is not None and (not address.name or leaderboard.is_details(address.name)):
        if reader is not None:
            raise SourceError(f"{address} is read as it is made: leave --reader out")
        model, benchmark = options.pop("model", None), options.pop("benchmark", None)
        check_options(leaderboard.reader, options, address)
        repositories, result.best = _models(hub, leaderboard, address, model, top)
        wanted = _Wanted(address.revision, benchmark, timestamp, options)
        find = {
            name: partial(_in_details, hub, leaderboard, repository, wanted)
            for name, repository in repositories.items()
        }
    else:
        _check_dataset(address, timestamp, top)
        find = {address.repository: partial(_in_dataset, hub, address, reader, options)}
    for name, submissions in find.items():
        on_model(name)
        try:
            result.ingested += _record_all(warehouse, submissions(), copy)
        except (HubError, SourceError) as error:
            if len(find) == 1:
                raise
            result.problems[name] = str(error)
        on_model_done()
    if not result.ingested:
        reasons = "\n".join(f"  {reason}" for reason in result.problems.values())
        raise HubError(f"none could be had:\n{reasons}")
    return result


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of a model's details, and how it is to be read."""

    revision: str | None
    benchmark: str | None
    timestamp: str | None
    options: Mapping[str, Any]


def _models(
    hub: Hub, leaderboard: _Leaderboard, address: HubAddress, model: str | None, top: int | None
) -> tuple[dict[str, str], list[RankedModel]]:
    """Return the repositories of the models that are wanted, by name, and the best if they are."""
    if sum(given is not None for given in (address.name or None, model, top)) != 1:
        raise SourceError(
            f"which models of hf:{leaderboard.owner}? Give either --model org/name or --top N"
        )
    if address.name:
        return {address.repository: address.repository}, []
    if model is not None:
        if not _MODEL.fullmatch(model):
            raise SourceError(f"--model {model!r}: a model there has a name like org/name")
        return {model: leaderboard.repository(model)}, []
    if address.revision is not None:
        raise SourceError("--revision is one of one dataset: give --model with it, not --top")
    best = top_models(hub, leaderboard.owner, top or 0)
    return {one.name: leaderboard.repository(one.name) for one in best}, best


def _check_dataset(address: HubAddress, timestamp: str | None, top: int | None) -> None:
    if timestamp is not None or top is not None:
        given = "--top" if timestamp is None else "--timestamp"
        known = " and ".join(f"hf:{owner}" for owner in LEADERBOARDS)
        raise SourceError(f"{address} is no leaderboard's details: {given} is for {known}")
    if not address.name:
        raise SourceError(f"{address} is an organisation: name a dataset of it, {address}/dataset")


def top_models(hub: Hub, owner: str, top: int) -> list[RankedModel]:
    """Return the best models of a leaderboard by their average, from its dataset ``contents``.

    Of a model submitted more than once the best counts; what the leaderboard flagged is left out.

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
    files = [one for one in hub.files(repository, commit) if one.path.endswith(".parquet")]
    if not files:
        raise SourceError(f"{repository} holds no table: name the models with --model")
    best: dict[str, RankedModel] = {}
    for path in hub.fetch(repository, commit, files):
        for one in _contents(path):
            if one.name not in best or best[one.name].average < one.average:
                best[one.name] = one
    if not best:
        raise SourceError(f"{repository} names no model with an average: use --model")
    return sorted(best.values(), key=lambda one: (-one.average, one.name))[:top]


def _contents(path: Path) -> Iterator[RankedModel]:
    """Yield the submissions in the table ``contents`` that have an average and are not flagged."""
    try:
        there = [str(name) for name in pq.read_schema(path).names]
        average = next((name for name in there if name.startswith("Average")), None)
        names = ("fullname", average, _FLAGGED, _SUBMITTED)
        rows = pq.read_table(path, columns=[one for one in names if one in there]).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if average is None or "fullname" not in there:
        raise SourceError(
            f"{path} has no columns fullname and Average; its columns: {', '.join(there[:40])}. "
            "Name the models with --model"
        )
    for row in rows:
        name, value = row["fullname"], row[average]
        if (
            isinstance(name, str)
            and _MODEL.fullmatch(name)
            and isinstance(value, int | float)
            and not math.isnan(value)
            and not row.get(_FLAGGED)
        ):
            submitted = row.get(_SUBMITTED)
            yield RankedModel(name, value, None if submitted is None else str(submitted))


def _in_details(
    hub: Hub,
    leaderboard: _Leaderboard,
    repository: str,
    wanted: _Wanted,
) -> list[Submission]:
    """Fetch what is wanted of a model's details, and return the submissions in it."""
    try:
        commit = hub.commit(repository, wanted.revision)
    except HubMissingError as error:
        owner, _, name = repository.partition("/")
        words = name.removeprefix("details_").removesuffix("-details").rpartition("__")[2]
        found = hub.similar(owner, words)
        similar = [one for one in found if leaderboard.is_details(one.rpartition("/")[2])]
        hint = f". Similar ones there: {', '.join(similar)}" if similar else ""
        raise HubMissingError(f"{error}{hint}") from error
    files = hub.files(repository, commit)
    entries = [entry for one in files if (entry := leaderboard.entry(one))]
    if not entries:
        raise SourceError(f"{repository} holds no details of answers at {commit}")
    entries = _of_benchmark(entries, wanted.benchmark, repository)
    chosen = leaderboard.choose(_of_run(entries, wanted.timestamp, repository))
    details = [entry for those in chosen.values() for entry in those]
    results = {f"results_{entry.timestamp}.json" for entry in details}
    beside = [
        one for one in files if leaderboard.reads_results and one.path.rpartition("/")[2] in results
    ]
    paths = hub.fetch(repository, commit, [*(entry.file for entry in details), *beside])
    path_of = dict(zip(details, paths, strict=False))
    return leaderboard.submissions(
        {of: [path_of[entry] for entry in those] for of, those in chosen.items()}, wanted.options
    )


def _of_benchmark(
    entries: Sequence[_Entry], benchmark: str | None, repository: str
) -> list[_Entry]:
    """Return the entries of a benchmark, or of a group of them such as ``leaderboard_bbh``."""
    if benchmark is None:
        return list(entries)
    names = (benchmark, f"{_TOP_GROUP}{benchmark}")
    groups = tuple(f"{name}_" for name in names)
    found = [one for one in entries if one.benchmark in names]
    found = found or [one for one in entries if one.benchmark.startswith(groups)]
    if not found:
        known = sorted({one.benchmark for one in entries})
        raise SourceError(
            f"{repository} has no benchmark {benchmark!r}; it has: {', '.join(known)}"
        )
    return found


def _of_run(entries: Sequence[_Entry], timestamp: str | None, repository: str) -> list[_Entry]:
    """Return the entries of the run of a time, of which the beginning will do."""
    if timestamp in (None, "latest"):
        return list(entries)
    digits = re.sub(r"\D", "", str(timestamp))
    found = [
        one for one in entries if digits and "".join(time_key(one.timestamp)).startswith(digits)
    ]
    runs = sorted({one.timestamp for one in found})
    if len(runs) != 1:
        known = ", ".join(runs or sorted({one.timestamp for one in entries}))
        what = "several runs" if runs else "no run"
        raise SourceError(f"{repository} has {what} of {timestamp!r}; choose one of: {known}")
    return found


def _in_dataset(
    hub: Hub, address: HubAddress, reader: str | None, options: Mapping[str, Any]
) -> list[Submission]:
    """Fetch a dataset's result files and return the submissions in them."""
    here = fetched(hub, address, _RESULT_ENDINGS, "results")
    submissions = find_all(hub.local(here), reader, options)
    if "model" not in options:
        for one in submissions:
            # The harness's samples are called by their folder: here the repository's own.
            if one.reader == "lm_eval" and one.model == name_of_sanitized(address.name):
                raise SourceError(
                    f"{one.files[0]}: no file says which model it is of: set option model (--model)"
                )
    return submissions


def fetched(hub: Hub, address: HubAddress, endings: tuple[str, ...], what: str) -> HubAddress:
    """Fetch the files of a dataset that could be of use; return its address at their commit.

    Parameters
    ----------
    endings : tuple of str
        Of the files that could be.
    what : str
        What they could be, for the message.

    Raises
    ------
    SourceError
        If there is none, or they are too large to be meant.
    HubError
        If they cannot be had.
    """
    commit = hub.commit(address.repository, address.revision)
    listed = hub.files(address.repository, commit, address.path)
    files = [
        one
        for one in listed
        if one.path.lower().endswith(endings)
        and not any(part.startswith(".") for part in one.path.split("/"))
    ]
    if not files:
        shown = ", ".join(one.path for one in listed[:5]) or "nothing"
        raise SourceError(
            f"{address} holds no files that could be {what} ({shown}); those end in "
            f"{', '.join(endings)}"
        )
    size = sum(one.size for one in files)
    if size > MOST_BYTES:
        raise SourceError(
            f"{address} holds {size >> 30} GiB in {len(files):,} files: name a folder or file in "
            f"it, e.g. hf:{address.repository}/{files[0].path}"
        )
    hub.fetch(address.repository, commit, files)
    return dataclasses.replace(address, revision=commit)


def _record_all(
    warehouse: Warehouse, submissions: Sequence[Submission], copy: bool
) -> list[Ingested]:
    found: dict[RecordedPartition, Submission] = {}
    for submission in submissions:
        partition = partition_of_submission(submission)
        if partition in found:
            raise SourceError(
                f"{submission.files[0]} and {found[partition].files[0]} are both of {partition}: "
                "ingest only one of them"
            )
        found[partition] = submission
    return [record(warehouse, *one, copy) for one in found.items()]
