"""Ingestion from the hub: a leaderboard's models, or any dataset that holds result files.

Result files are fetched as they are and recognised by the readers. They do not go through
``datasets``: most are no tables (logs, archives, outputs of evaluation harnesses), and a record
needs the files' own addresses and hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from errclust_pipeline.hub.address import HubAddress
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.dataset_files import fetch_data_files, list_data_files
from errclust_pipeline.hub.download import Fetched
from errclust_pipeline.hub.errors import HubError
from errclust_pipeline.ingestion.files import find_all
from errclust_pipeline.ingestion.leaderboards import (
    LEADERBOARDS,
    Leaderboard,
    RankedModel,
    WantedDetails,
    fetch_details,
    is_model_name,
    top_models,
)
from errclust_pipeline.ingestion.record import Ingested, record_all
from errclust_pipeline.sources import SourceError, check_options
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.sources.formats.lm_eval_runs import name_of_sanitized
from errclust_pipeline.warehouse.warehouse import Warehouse

_RESULT_ENDINGS = (
    ".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".zip", ".gz", ".zst", ".eval", ".pkl",
    ".tsv", ".arrow", ".feather",
)  # fmt: skip


@dataclass(frozen=True)
class HubRequest:
    """What to ingest from the hub.

    Attributes
    ----------
    address : HubAddress
        A leaderboard's organisation, a model's details there, or any dataset.
    reader : str or None
        The name of the format's reader; found out from the files if None.
    options : mapping
        The reader's settings. For a leaderboard, `model` and `benchmark` say what is wanted.
    timestamp : str or None
        For a leaderboard: which run is wanted, instead of the newest of each benchmark.
    top : int or None
        For a leaderboard: the number of models to take, the best by their average.
    """

    address: HubAddress
    reader: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    timestamp: str | None = None
    top: int | None = None


@dataclass
class FromHub:
    """What an ingestion from the hub brought.

    Attributes
    ----------
    ingested : list of Ingested
    problems : mapping from model to reason
        Models of a leaderboard that could not be ingested, while others could.
    best : list of RankedModel
        The best models, if they were asked for.
    fetched : Fetched
        How much came over the network; the rest was fetched before.
    """

    ingested: list[Ingested] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    best: list[RankedModel] = field(default_factory=list)
    fetched: Fetched = field(default_factory=Fetched)


def ingest_from_hub(
    warehouse: Warehouse,
    request: HubRequest,
    copy: bool = False,
    *,
    on_model: Callable[[str], None] = lambda _: None,
    on_model_done: Callable[[], None] = lambda: None,
) -> FromHub:
    """Fetch result files from the hub and record the submissions in them.

    A model's submissions are recorded once all of its files are fetched. What was fetched is kept,
    so that an interrupted ingestion continues where it was.

    Parameters
    ----------
    warehouse : Warehouse
    request : HubRequest
    copy : bool
        Keep a copy of the files under the data root.
    on_model, on_model_done : callable, optional
        Called with each model's name before it is fetched, and when it is done.

    Raises
    ------
    HubError
        If nothing could be fetched.
    SourceError
        If nothing that was fetched can be used.
    """
    hub, address = Hub(), request.address
    result = FromHub(fetched=hub.fetched)
    leaderboard = LEADERBOARDS.get(address.owner)
    if leaderboard is not None and (not address.name or leaderboard.is_details(address.name)):
        fetch_by_name = _of_leaderboard(hub, leaderboard, request, result)
    else:
        _check_dataset(request)
        fetch_by_name = {address.repository: partial(_in_dataset, hub, request)}
    for name, fetch in fetch_by_name.items():
        on_model(name)
        try:
            result.ingested += record_all(warehouse, fetch(), copy)
        except (HubError, SourceError) as error:
            if len(fetch_by_name) == 1:
                raise
            result.problems[name] = str(error)
        on_model_done()
    if not result.ingested:
        reasons = "\n".join(f"  {reason}" for reason in result.problems.values())
        raise HubError(f"none could be ingested:\n{reasons}")
    return result


def _of_leaderboard(
    hub: Hub, leaderboard: Leaderboard, request: HubRequest, result: FromHub
) -> dict[str, Callable[[], list[Submission]]]:
    """Return, by the names of the models that are wanted, what fetches a model's submissions."""
    if request.reader is not None:
        raise SourceError(f"{request.address} has a format of its own: leave --reader out")
    options = dict(request.options)
    model, benchmark = options.pop("model", None), options.pop("benchmark", None)
    check_options(leaderboard.reader, options, request.address)
    repositories, result.best = _models(hub, leaderboard, request, model)
    wanted = WantedDetails(request.address.revision, benchmark, request.timestamp, options)
    return {
        name: partial(fetch_details, hub, leaderboard, repository, wanted)
        for name, repository in repositories.items()
    }


def _models(
    hub: Hub, leaderboard: Leaderboard, request: HubRequest, model: str | None
) -> tuple[dict[str, str], list[RankedModel]]:
    """Return the repositories of the models that are wanted, by name, and the best if they are."""
    address, top = request.address, request.top
    if sum(given is not None for given in (address.name or None, model, top)) != 1:
        raise SourceError(
            f"which models of hf:{leaderboard.owner}? Give either --model org/name or --top N"
        )
    if address.name:
        return {address.repository: address.repository}, []
    if model is not None:
        if not is_model_name(model):
            raise SourceError(f"--model {model!r}: a model there has a name like org/name")
        return {model: leaderboard.repository(model)}, []
    if address.revision is not None:
        raise SourceError("--revision is one of one dataset: give --model with it, not --top")
    best = top_models(hub, leaderboard.owner, top or 0)
    return {ranked.name: leaderboard.repository(ranked.name) for ranked in best}, best


def _check_dataset(request: HubRequest) -> None:
    address = request.address
    if request.timestamp is not None or request.top is not None:
        given = "--top" if request.timestamp is None else "--timestamp"
        known = " and ".join(f"hf:{owner}" for owner in LEADERBOARDS)
        raise SourceError(f"{address} is no leaderboard's details: {given} is for {known}")
    if not address.name:
        raise SourceError(f"{address} is an organisation: name a dataset of it, {address}/dataset")


def _in_dataset(hub: Hub, request: HubRequest) -> list[Submission]:
    """Fetch a dataset's result files and return the submissions in them."""
    dataset = list_data_files(hub, request.address, _RESULT_ENDINGS, "results")
    fetch_data_files(hub, dataset)
    submissions = find_all(hub.local(dataset.address), request.reader, request.options)
    if "model" not in request.options:
        for submission in submissions:
            # The harness names samples after their folder, which is the repository's here.
            unnamed = name_of_sanitized(request.address.name)
            if submission.reader == "lm_eval" and submission.model == unnamed:
                raise SourceError(
                    f"{submission.files[0]}: no file says which model it is of: set option model "
                    "(--model)"
                )
    return submissions
