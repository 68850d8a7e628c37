"""The sections of a settings file: every setting with its type, range, default and description.

A section holds values and checks them; it reads no file and opens nothing. The docstring below a
setting is its description in the settings reference, so each is written for users.

Types are strict: a string is not a number, a boolean is not a number, and NaN and infinity are
refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

import pydantic
from pydantic import Field

from errclust_pipeline.analysis.clustering.settings import ClusteringMethod, ClusteringSettings
from errclust_pipeline.analysis.errors import DEFAULT_TEXT, ErrorText
from errclust_pipeline.analysis.question_map import QuestionMapSettings
from errclust_pipeline.analysis.spatial import DEFAULT_SCALES
from errclust_pipeline.analysis.uncertainty.conformal import DEFAULT_MISCOVERAGE
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, BackendChoice, embedder_identity
from errclust_pipeline.hub.address import is_hub_address
from errclust_pipeline.language_model.options import LanguageModelOptions
from errclust_pipeline.warehouse.storage import Storage

_CLUSTERING = ClusteringSettings()
_MAP = QuestionMapSettings()
_LANGUAGE_MODEL = LanguageModelOptions(model="")

_LARGEST_COUNT = 1_000_000_000
"""Upper limit of settings that bound work; beyond every use, and safe in 32-bit integers."""
_SECONDS_A_DAY = 86_400
_NEVER_A_KEY = frozenset(
    {"HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "PYTHONPATH", "SHELL", "TMPDIR", "USER"}
)
"""Environment variables that every process has and that never hold an API key."""

Count = Annotated[int, Field(ge=1, le=_LARGEST_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=_LARGEST_COUNT)]
OptionalCount = Annotated[int | None, Field(ge=1, le=_LARGEST_COUNT)]
OptionalCountOrZero = Annotated[int | None, Field(ge=0, le=_LARGEST_COUNT)]
Share = Annotated[float, Field(ge=0, le=1)]
"""A share from 0 to 1, both included."""
OpenShare = Annotated[float, Field(gt=0, lt=1)]
"""A share between 0 and 1, both excluded."""
OptionalAmount = Annotated[float | None, Field(ge=0, le=1e12)]
"""An amount of money, in whatever currency the prices are in."""
Days = Annotated[int, Field(ge=1, le=36_500)]


def _without_control_characters(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if not text.isprintable():
        raise ValueError("must not hold control characters, such as line breaks")
    return text


Name = Annotated[str, pydantic.AfterValidator(_without_control_characters)]
"""Text of one line that is not empty."""


class Section(pydantic.BaseModel):
    """Settings that stand under one heading of the settings file."""

    model_config = pydantic.ConfigDict(
        allow_inf_nan=False,
        extra="forbid",
        frozen=True,
        strict=True,
    )

    old_names: ClassVar[Mapping[str, str]] = {}
    """Current names by old names.

    The old names are still accepted, and they are the names under which data roots record the
    values, so that a renamed setting makes nothing out of date.
    """

    @classmethod
    def with_current_names(cls, values: Mapping[str, Any], heading: str) -> dict[str, Any]:
        """Return values with their old names replaced, and warn of each old name.

        Parameters
        ----------
        values : mapping
            Values of this section by name, not yet checked.
        heading : str
            The section's heading, for messages.

        Raises
        ------
        ValueError
            If a setting is given under its old name and its current name.
        """
        current = dict(values)
        for old, new in cls.old_names.items():
            if old not in current:
                continue
            if new in current:
                raise ValueError(
                    f"{heading}.{old} is the old name of {heading}.{new}: remove {old}"
                )
            warnings.warn(
                f"setting {heading}.{old} is called {heading}.{new} now; the old name will stop "
                "working in a later version: rename it in errclust.toml",
                FutureWarning,
                stacklevel=2,
            )
            current[new] = current.pop(old)
        return current

    def recorded(self, *names: str) -> dict[str, Any]:
        """Return settings as data roots record them: renamed settings under their old names.

        Parameters
        ----------
        *names : str
            Current names of the settings; all of the section's if none is given.
        """
        old_name_of = {new: old for old, new in self.old_names.items()}
        values = self.model_dump(include=set(names) if names else None)
        return {old_name_of.get(name, name): value for name, value in values.items()}


class ErrorSettings(Section):
    """How errors are described."""

    text: ErrorText = DEFAULT_TEXT
    """The text of an error that is embedded: the question, the question with the model's answer,
    or the model's whole response."""


class ClusteringSection(Section):
    """How errors are put into clusters, and questions into regions."""

    old_names: ClassVar[Mapping[str, str]] = {"seed": "random_state"}

    method: ClusteringMethod = _CLUSTERING.method
    """Nested communities of the nearest-neighbour graph (louvain), or one level of density
    clusters (hdbscan). Regions of a map are always found by louvain."""
    neighbours: OptionalCount = _CLUSTERING.neighbours
    """Neighbours of a point in the graph. Default: 2 log2(n), at least 5, for n points."""
    resolution: Annotated[float, Field(gt=0, le=1_000)] = _CLUSTERING.resolution
    """Resolution of louvain: a larger value makes more and smaller clusters."""
    levels: Annotated[int, Field(ge=1, le=100)] = _CLUSTERING.levels
    """Maximum number of levels of nested clusters; hdbscan always makes one level."""
    minimum_size: OptionalCount = _CLUSTERING.minimum_size
    """Minimum number of errors in a cluster; smaller groups are noise. Default: one in a thousand
    of the errors, at least 5."""
    minimum_assortativity: Share = _CLUSTERING.minimum_assortativity
    """A cluster is divided further only if the division's assortativity reaches this value."""
    minimum_relative_similarity: Share = _CLUSTERING.minimum_relative_similarity
    """A point is noise if its mean similarity to its neighbours is less than this value times
    their mean similarity to their own neighbours."""
    random_state: Annotated[int, Field(ge=0, lt=2**32)] = _CLUSTERING.random_state
    """Seed of all random choices: the same value gives the same clusters."""
    layout: bool = _CLUSTERING.layout
    """Whether positions in two dimensions are computed, for pictures."""

    def parameters(self) -> ClusteringSettings:
        """Return the parameters of `errclust_pipeline.analysis.clustering`."""
        return ClusteringSettings(**dict(self))


class MapSection(Section):
    """How the map of a benchmark's questions is built."""

    neighbours: Count = _MAP.neighbours
    """Nearest neighbours kept of each question; statistics use at most as many."""
    exact_up_to: CountOrZero = _MAP.exact_up_to
    """Maximum number of questions whose neighbours are found exactly, by comparing all pairs; above
    it they are approximate."""
    near_duplicate_similarity: Annotated[float, Field(gt=0, le=2)] = _MAP.near_duplicate_similarity
    """Cosine similarity from which on two questions with the same numbers count as one; above 1 no
    questions are merged."""

    def parameters(self) -> QuestionMapSettings:
        """Return the parameters of `errclust_pipeline.analysis.question_map`."""
        return QuestionMapSettings(**dict(self))


class StatisticsSettings(Section):
    """How errors are tested on the map."""

    old_names: ClassVar[Mapping[str, str]] = {"alpha": "fdr"}

    scales: Annotated[tuple[Count, ...], Field(min_length=1, max_length=100, strict=False)] = (
        DEFAULT_SCALES
    )
    """Numbers of neighbours at which places on the map are tested. Scales of half the map and more
    are left out."""
    fdr: OpenShare = 0.05
    """False discovery rate: the expected share of chance findings among the places reported."""
    permutations: Annotated[int, Field(ge=19, le=1_000_000)] = 99
    """Number of permutations behind the p-values of global statistics."""
    miscoverage: OpenShare = DEFAULT_MISCOVERAGE
    """Share of questions whose conformal set may miss the right option."""
    leave_out_artefacts: bool = False
    """Whether truncated, empty and similar responses, from which no answer can be read, are left
    out instead of counting as errors."""
    most_pairs: Count = 500
    """Maximum number of pairs of models compared on a benchmark, the closest in accuracy first."""

    @pydantic.field_validator("scales")
    @classmethod
    def _scales_differ(cls, scales: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(scales)) < len(scales):
            raise ValueError("must not name a scale twice")
        return scales


class DiagnosisSettings(Section):
    """Which errors a language model diagnoses, if one is configured."""

    share: Share = 0.0
    """Share of a model's errors that are diagnosed, drawn evenly over the map; 0 diagnoses none."""
    most: Count = 500
    """Maximum number of errors diagnosed of one model on one benchmark."""


class SelectionSettings(Section):
    """Which training examples a model's errors ask for."""

    budget: Count = 500
    """Number of training examples selected for a model on a benchmark."""
    development_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the questions, chosen by a hash of each, whose errors guide the selection. The other
    questions are held out, so that the gain can be measured on them."""


class EmbeddingSettings(Section):
    """Which model embeds texts; it is the same for all benchmarks."""

    model: Name = EMBEDDED_MODEL
    """all-MiniLM-L6-v2 (needs no network), static (a hundred times as fast), hashing (knows words
    only), a folder with a sentence-transformers model, or the name of such a model on the Hugging
    Face hub."""
    revision: Name | None = None
    """Commit of a model on the hub; needed for such a model."""
    backend: BackendChoice = "auto"
    """Library and precision that compute the model; auto takes the fastest on this machine."""

    @pydantic.field_validator("model")
    @classmethod
    def _folder_holds_a_model(cls, model: str) -> str:
        folder = Path(model).expanduser()
        if folder.is_absolute() and folder.exists():
            if not folder.is_dir():
                raise ValueError(f"{model} is a file: name the folder of the model")
            if not (any(folder.glob("*.safetensors")) or any(folder.glob("*/*.safetensors"))):
                raise ValueError(f"{model} holds no model: expected a file *.safetensors")
        return model

    @property
    def identity(self) -> str:
        """Name that two settings share exactly if they give the same vectors."""
        return embedder_identity(self.model, self.revision, self.backend)


class LanguageModelSettings(Section):
    """Which language model names clusters and diagnoses errors; without one, key phrases name them.

    It may be behind any OpenAI-compatible endpoint.
    """

    model: Name | None = None
    """The model's name, as the endpoint knows it. Without one, no language model is asked."""
    base_url: Name | None = _LANGUAGE_MODEL.base_url
    """URL of the endpoint, such as http://127.0.0.1:8080/v1; OpenAI's own by default."""
    key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = (
        _LANGUAGE_MODEL.key_variable
    )
    """Name of the environment variable that holds the API key. The key itself never stands in a
    file."""
    calls_at_once: Annotated[int, Field(ge=1, le=1_000)] = _LANGUAGE_MODEL.calls_at_once
    """Maximum number of concurrent calls."""
    tries: Annotated[int, Field(ge=1, le=100)] = _LANGUAGE_MODEL.tries
    """Maximum number of attempts at a call when the endpoint is busy, broken or too slow."""
    seconds_to_answer: Annotated[float, Field(gt=0, le=_SECONDS_A_DAY)] = (
        _LANGUAGE_MODEL.seconds_to_answer
    )
    """Seconds after which an attempt counts as failed."""
    prompt_tokens: Annotated[int, Field(ge=600, le=_LARGEST_COUNT)] = _LANGUAGE_MODEL.prompt_tokens
    """Approximate maximum length of a prompt, in tokens; texts are cut to fit."""
    price_of_prompt: OptionalAmount = None
    """Price of a million prompt tokens."""
    price_of_answer: OptionalAmount = None
    """Price of a million answer tokens."""
    most_calls: OptionalCountOrZero = None
    """Maximum number of calls in one run of one asset."""
    most_tokens: Annotated[int | None, Field(ge=0, le=10**15)] = None
    """Maximum number of tokens in one run of one asset."""
    most_cost: OptionalAmount = None
    """Maximum cost of one run of one asset; it needs both prices."""

    @pydantic.field_validator("base_url")
    @classmethod
    def _is_a_web_address(cls, url: str | None) -> str | None:
        if url is None:
            return url
        parts = urlsplit(url)
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname or " " in url:
            raise ValueError("must be a web address, http://… or https://…, mostly ending in /v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "must not hold a user name or password: set the key in the environment variable "
                "that key_variable names"
            )
        _ = parts.port  # Raises ValueError if it is out of range.
        return url

    @pydantic.field_validator("key_variable")
    @classmethod
    def _may_hold_a_key(cls, variable: str) -> str:
        if variable in _NEVER_A_KEY:
            raise ValueError(f"{variable} holds no API key, and would be sent to the endpoint")
        return variable

    @pydantic.model_validator(mode="after")
    def _a_cost_limit_needs_prices(self) -> LanguageModelSettings:
        if self.most_cost is not None and None in (self.price_of_prompt, self.price_of_answer):
            raise ValueError("most_cost needs price_of_prompt and price_of_answer too")
        return self

    def options(self) -> LanguageModelOptions | None:
        """Return the client's options; None if no model is configured."""
        if self.model is None:
            return None
        return LanguageModelOptions(**{**dict(self), "model": self.model})


class SubmissionSettings(Section):
    """Where submissions arrive by themselves, and when to warn about them."""

    folders: Annotated[tuple[Name, ...], Field(max_length=1_000, strict=False)] = ("drop",)
    """Folders that are watched: paths below the data root, absolute paths, fsspec URLs such as
    s3://bucket/results, or datasets of the Hugging Face hub such as hf:org/name."""
    seconds_between_looks: Annotated[int, Field(ge=1, le=_SECONDS_A_DAY)] = 30
    """Seconds between two scans of the folders; a file is read when two scans found it
    unchanged."""
    warn_after_days: Days = 7
    """Days without a new submission after which the UI warns."""
    fail_after_days: Days = 30
    """Days without a new submission after which the UI reports a failure."""
    warn_above_rejects: Share = 0.02
    """Share of unusable rows in a submission above which a check warns."""
    block_above_rejects: Share = 0.5
    """Share of unusable rows in a submission above which nothing is computed from it."""

    @pydantic.field_validator("folders")
    @classmethod
    def _folders_can_be_watched(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            is_relative = not (_is_url(folder) or Path(folder).is_absolute())
            if is_relative and ".." in folder.replace("\\", "/").split("/"):
                raise ValueError(
                    f"{folder!r} leaves the data root: write it as an absolute path or a URL"
                )
        return folders

    @pydantic.model_validator(mode="after")
    def _a_warning_comes_before_a_failure(self) -> SubmissionSettings:
        if self.warn_after_days >= self.fail_after_days:
            raise ValueError("warn_after_days must be less than fail_after_days")
        return self

    def url(self, folder: str, storage: Storage) -> str:
        """Return a folder as a full path or URL."""
        is_full = _is_url(folder) or Path(folder).is_absolute()
        return folder if is_full else f"{storage.url}/{folder}"


def _is_url(folder: str) -> bool:
    return "://" in folder or is_hub_address(folder)
