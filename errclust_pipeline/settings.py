"""What a project can set, in `<root>/errclust.toml`; every setting has a default.

::

    pictures = true               # for the Dagster UI, with each materialisation

    [errors]
    text = "question"             # what is embedded: question, question_and_answer or response

    [embedding]
    model = "all-MiniLM-L6-v2"    # or "static", "hashing", a folder, or a model of the
                                  # hub with its revision
    revision = "…"
    backend = "auto"              # torch, torch-half, openvino, openvino-int8: what computes it

    [submissions]
    folders = ["drop"]            # where they arrive: below the root, absolute, or fsspec URLs,
                                  # or datasets of the hub: "hf:org/name"

    [language_model]              # without it, clusters are named by key phrases
    model = "…"                   # as the endpoint calls it
    base_url = "http://…/v1"      # OpenAI's own if it is not set
    key_variable = "OPENAI_API_KEY"

    [clustering]
    method = "louvain"            # or "hdbscan"

    [map]
    neighbours = 300              # kept of each question
    near_duplicate_similarity = 0.98

    [statistics]
    scales = [10, 30, 100, 300]   # numbers of neighbours
    alpha = 0.05                  # false discovery rate
    permutations = 99             # for the p values of global statistics
    miscoverage = 0.1             # share of conformal sets that may miss the right option
    leave_out_artefacts = false   # true: truncated, empty, … responses are not errors
    most_pairs = 500              # of models compared, the closest in accuracy first

    [diagnosis]
    share = 0.1                   # of the errors, to be diagnosed by the language model; 0 is none
    most = 500                    # of a model on a benchmark

    [selection]
    budget = 500                  # training examples asked for
    development_share = 0.5       # of the questions; the others are held out to measure by

    [benchmarks.gsm8k.errors]     # the same sections again, for one benchmark (by its key)
    text = "question_and_answer"

Settings are part of the data version of what they influence: change one, and `errclust run`
recomputes exactly that and what follows from it.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import pydantic

from errclust_pipeline.analysis.clustering import ClusteringSettings
from errclust_pipeline.analysis.errors import DEFAULT_TEXT, ErrorText
from errclust_pipeline.analysis.question_map import QuestionMapSettings
from errclust_pipeline.analysis.spatial import DEFAULT_SCALES
from errclust_pipeline.analysis.uncertainty.conformal import DEFAULT_ALPHA
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, BackendChoice, embedder_identity
from errclust_pipeline.hub.client import is_hub_address
from errclust_pipeline.language_model.options import LanguageModelOptions
from errclust_pipeline.warehouse.storage import Storage

SETTINGS_FILE = "errclust.toml"
LANGUAGE_MODEL_VARIABLES = {
    "model": "ERRCLUST_LANGUAGE_MODEL",
    "base_url": "ERRCLUST_LANGUAGE_MODEL_URL",
}
"""The environment variables that stand for settings of ``[language_model]``."""


class SettingsError(ValueError):
    """A settings file that cannot be used; the message names the file, the key and the remedy."""


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class ErrorSettings(_Section):
    """How errors are described."""

    text: ErrorText = DEFAULT_TEXT


class EmbeddingSettings(_Section):
    """Which model embeds; the same for all benchmarks, so that texts are embedded only once."""

    model: str = EMBEDDED_MODEL
    revision: str | None = None
    backend: BackendChoice = "auto"
    """What computes the model: the fastest on this machine unless one is named."""

    @property
    def identity(self) -> str:
        """The same exactly where the vectors are."""
        return embedder_identity(self.model, self.revision, self.backend)


class LanguageModelSettings(_Section):
    """Which language model names clusters and diagnoses errors, if any does.

    Any OpenAI-compatible endpoint. The key stands in the environment, never in a file.
    """

    model: str | None = None
    """As the endpoint calls it; without one, clusters are named by their key phrases."""
    base_url: str | None = None
    """E.g. ``http://127.0.0.1:8080/v1``; OpenAI's own if it is not set."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    calls_at_once: Annotated[int, pydantic.Field(ge=1)] = 4
    tries: Annotated[int, pydantic.Field(ge=1)] = 5
    """Of a call, when the endpoint is busy, out of order or too slow."""
    seconds_to_answer: Annotated[float, pydantic.Field(gt=0)] = 120.0
    prompt_tokens: Annotated[int, pydantic.Field(ge=600)] = 4000
    """About how long a prompt may be: texts are cut to fit."""
    price_of_prompt: Annotated[float, pydantic.Field(ge=0)] | None = None
    """Of a million tokens."""
    price_of_answer: Annotated[float, pydantic.Field(ge=0)] | None = None
    most_calls: Annotated[int, pydantic.Field(ge=0)] | None = None
    """Of one run of one asset, as are the other limits."""
    most_tokens: Annotated[int, pydantic.Field(ge=0)] | None = None
    most_cost: Annotated[float, pydantic.Field(ge=0)] | None = None

    def options(self) -> LanguageModelOptions | None:
        """Return the options of the client; None if no model is configured."""
        if self.model is None:
            return None
        return LanguageModelOptions(**{**self.model_dump(), "model": self.model})

    @pydantic.model_validator(mode="after")
    def _a_limit_of_cost_needs_prices(self) -> LanguageModelSettings:
        prices = (self.price_of_prompt, self.price_of_answer)
        if self.most_cost is not None and None in prices:
            raise ValueError("most_cost needs price_of_prompt and price_of_answer too")
        return self


class SubmissionSettings(_Section):
    """Where submissions arrive by themselves."""

    folders: tuple[str, ...] = ("drop",)
    """Paths, those that are not absolute below the data root, or fsspec URLs such as
    ``s3://bucket/results``, or datasets of the hub, ``hf:org/name``."""
    seconds_between_looks: Annotated[int, pydantic.Field(ge=1)] = 30
    """Of the sensors; a file is taken in when two looks found it unchanged."""
    warn_after_days: Annotated[int, pydantic.Field(ge=1)] = 7
    """Days without a new submission after which the UI warns."""
    fail_after_days: Annotated[int, pydantic.Field(ge=1)] = 30
    """Days after which it says that something is wrong."""
    warn_above_rejects: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.02
    """Share of rows that could not be used, from which on a check warns."""
    block_above_rejects: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.5
    """Share from which on nothing is computed from the rest."""

    def url(self, folder: str, storage: Storage) -> str:
        """Return a folder as a full path or URL."""
        is_full = "://" in folder or is_hub_address(folder) or Path(folder).is_absolute()
        return folder if is_full else f"{storage.url}/{folder}"


class StatisticsSettings(_Section):
    """How errors are tested on the map."""

    scales: Annotated[tuple[pydantic.PositiveInt, ...], pydantic.Field(min_length=1)] = (
        DEFAULT_SCALES
    )
    """Numbers of neighbours; those of half the map and more are dropped."""
    alpha: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.05
    """False discovery rate."""
    permutations: Annotated[int, pydantic.Field(ge=19)] = 99
    """For the p values of global statistics."""
    miscoverage: Annotated[float, pydantic.Field(gt=0, lt=1)] = DEFAULT_ALPHA
    """Share of questions whose conformal set may miss the right option."""
    leave_out_artefacts: bool = False
    """Whether responses that nothing could be read off are left out instead of being errors."""
    most_pairs: Annotated[int, pydantic.Field(ge=1)] = 500
    """Pairs of models compared in `model_comparison`, the closest in accuracy first."""


class DiagnosisSettings(_Section):
    """Which errors a language model diagnoses, if one is configured."""

    share: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.0
    """Of a model's errors, drawn evenly over the map; 0 diagnoses none."""
    most: Annotated[int, pydantic.Field(ge=1)] = 500
    """Errors of a model on a benchmark."""


class SelectionSettings(_Section):
    """Which training examples a model's errors ask for."""

    budget: Annotated[int, pydantic.Field(ge=1)] = 500
    """Picks in the table `training_candidates`."""
    development_share: Annotated[float, pydantic.Field(gt=0, le=1)] = 0.5
    """Of the questions, by a hash of each: only their errors guide the selection, so that the gain
    can be measured on the others."""


class BenchmarkSettings(_Section):
    """Settings that may differ between benchmarks."""

    errors: ErrorSettings = ErrorSettings()
    clustering: ClusteringSettings = ClusteringSettings()
    map: QuestionMapSettings = QuestionMapSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    diagnosis: DiagnosisSettings = DiagnosisSettings()
    selection: SelectionSettings = SelectionSettings()

    @pydantic.field_validator("clustering", "map", mode="before")
    @classmethod
    def _known_settings(cls, value: Any, information: pydantic.ValidationInfo) -> Any:
        if isinstance(value, dict):
            is_clustering = information.field_name == "clustering"
            section = ClusteringSettings if is_clustering else QuestionMapSettings
            names = [field.name for field in dataclasses.fields(section)]
            unknown = sorted(set(value) - set(names))
            if unknown:
                raise ValueError(f"unknown setting {unknown[0]!r}: known are {', '.join(names)}")
        return value


class Settings(BenchmarkSettings):
    """All settings of a project."""

    embedding: EmbeddingSettings = EmbeddingSettings()
    language_model: LanguageModelSettings = LanguageModelSettings()
    submissions: SubmissionSettings = SubmissionSettings()
    owners: tuple[str, ...] = ()
    """Of all assets, as the UI shows them: e-mail addresses, or ``team:name``."""
    pictures: bool = True
    """Whether materialisations carry pictures; each takes 10 to 80 kB of Dagster's event log."""
    benchmarks: dict[str, dict[str, Any]] = {}

    @pydantic.model_validator(mode="after")
    def _benchmarks_are_valid(self) -> Settings:
        for benchmark in self.benchmarks:
            try:
                self.for_benchmark(benchmark)
            except pydantic.ValidationError as error:
                # Without this its reader looks for the mistake in the section for all benchmarks.
                where, message = _first_of(error)
                raise ValueError(f"benchmarks.{benchmark}.{where}: {message}") from None
        return self

    def for_benchmark(self, benchmark: str) -> BenchmarkSettings:
        """Return the settings of a benchmark: its own where it has some, else the project's."""
        own = self.benchmarks.get(benchmark, {})
        common = self.model_dump(include=set(BenchmarkSettings.model_fields))
        unknown = sorted(set(own) - set(common))
        if unknown:
            raise ValueError(f"benchmarks.{benchmark}: unknown section {unknown[0]!r}")
        for section, values in own.items():
            if not isinstance(values, dict):
                raise ValueError(
                    f"benchmarks.{benchmark}.{section} is {values!r}: expected a section, "
                    f"[benchmarks.{benchmark}.{section}]"
                )
        return BenchmarkSettings.model_validate(
            {section: {**values, **own.get(section, {})} for section, values in common.items()}
        )

    def with_embedder(self, model: str, revision: str | None) -> Settings:
        """Return these settings with another embedding model."""
        return self.model_copy(
            update={
                "embedding": self.embedding.model_copy(
                    update={"model": model, "revision": revision}
                )
            }
        )


def load_settings(storage: Storage) -> Settings:
    """Read a project's settings; the defaults if it has no settings file.

    Raises
    ------
    SettingsError
        If the file is not valid TOML, or a key or value is not one of the known ones.
    """
    path = storage.path(SETTINGS_FILE)
    try:
        found = tomllib.loads(storage.read_text(path)) if storage.exists(path) else {}
        return Settings.model_validate(_with_environment(found))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    except pydantic.ValidationError as error:
        where, message = _first_of(error)
        raise SettingsError(
            f"{path}: {where + ': ' if where else ''}{message} (see the README on settings)"
        ) from error


def _with_environment(found: dict[str, Any]) -> dict[str, Any]:
    """Add what the environment says of the language model; what the file says counts more."""
    section = found.get("language_model", {})
    told = {
        name: os.environ[variable]
        for name, variable in LANGUAGE_MODEL_VARIABLES.items()
        if os.environ.get(variable)
    }
    if not told or not isinstance(section, dict):
        return found
    return {**found, "language_model": {**told, **section}}


def _first_of(error: pydantic.ValidationError) -> tuple[str, str]:
    """Return where the first mistake is and what it is."""
    first = error.errors()[0]
    where, message = ".".join(str(part) for part in first["loc"]), first["msg"]
    if first["type"] == "extra_forbidden":
        name = first["loc"][0]
        section = Settings.model_fields.get(str(name))
        fields = getattr(section.annotation, "model_fields", {}) if section else {}
        known = fields if len(first["loc"]) > 1 else Settings.model_fields
        message = f"is not known; known are {', '.join(known)}"
    return where, message.removeprefix("Value error, ")
