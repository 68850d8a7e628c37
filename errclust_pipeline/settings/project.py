"""All settings of a project, and those that one benchmark has of its own."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any

import pydantic
from pydantic_core import PydanticCustomError

from errclust_pipeline.settings.problems import BENCHMARK_PROBLEM, problems_of
from errclust_pipeline.settings.sections import (
    ClusteringSection,
    DiagnosisSettings,
    EmbeddingSettings,
    ErrorSettings,
    LanguageModelSettings,
    MapSection,
    Section,
    SelectionSettings,
    StatisticsSettings,
    SubmissionSettings,
)

_OWNER = re.compile(r"[^\s<>@]+@[^\s<>@]+\.[A-Za-z]{2,}|team:[^\s<>]+")


class BenchmarkSettings(Section):
    """Settings that may differ between benchmarks."""

    errors: ErrorSettings = ErrorSettings()
    clustering: ClusteringSection = ClusteringSection()
    map: MapSection = MapSection()
    statistics: StatisticsSettings = StatisticsSettings()
    diagnosis: DiagnosisSettings = DiagnosisSettings()
    selection: SelectionSettings = SelectionSettings()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, values: Any) -> Any:
        return _with_current_names(values) if isinstance(values, dict) else values


class Settings(BenchmarkSettings):
    """All settings of a project."""

    embedding: EmbeddingSettings = EmbeddingSettings()
    language_model: LanguageModelSettings = LanguageModelSettings()
    submissions: SubmissionSettings = SubmissionSettings()
    owners: Annotated[tuple[str, ...], pydantic.Field(strict=False)] = ()
    """Owners of all assets, as the Dagster UI shows them: e-mail addresses, or team:name."""
    pictures: bool = True
    """Whether materializations carry pictures; each adds 10 to 80 kB to Dagster's event log."""
    benchmarks: dict[str, dict[str, Any]] = pydantic.Field(default_factory=dict)
    """Sections of one benchmark, such as [benchmarks.gsm8k.errors], by the benchmark's key. They
    may hold the settings of errors, clustering, map, statistics, diagnosis and selection, and count
    more than the sections for all benchmarks."""

    @pydantic.field_validator("owners")
    @classmethod
    def _owners_have_a_known_form(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        for owner in owners:
            if not _OWNER.fullmatch(owner):
                raise ValueError(f"{owner!r} is neither an e-mail address nor team:name")
        return owners

    @pydantic.model_validator(mode="before")
    @classmethod
    def _accept_old_names_of_benchmarks(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("benchmarks"), dict):
            return values
        benchmarks = {
            benchmark: _with_current_names(sections, f"benchmarks.{benchmark}.")
            if isinstance(sections, dict)
            else sections
            for benchmark, sections in values["benchmarks"].items()
        }
        return {**values, "benchmarks": benchmarks}

    @pydantic.model_validator(mode="after")
    def _benchmarks_are_valid(self) -> Settings:
        for benchmark in self.benchmarks:
            try:
                self.for_benchmark(benchmark)
            except pydantic.ValidationError as error:
                # The message must name the benchmark's own section, not the one for all benchmarks.
                problem = problems_of(error, BenchmarkSettings)[0]
                context = asdict(problem) | {"where": ("benchmarks", benchmark, *problem.where)}
                raise PydanticCustomError(BENCHMARK_PROBLEM, "{message}", context) from None
        return self

    def for_benchmark(self, benchmark: str) -> BenchmarkSettings:
        """Return the settings of a benchmark: its own where it has some, else the project's.

        Parameters
        ----------
        benchmark : str
            The benchmark's key.
        """
        own_sections = self.benchmarks.get(benchmark, {})
        sections = self.model_dump(include=set(BenchmarkSettings.model_fields))
        unknown = sorted(set(own_sections) - set(sections))
        if unknown:
            raise ValueError(
                f"benchmarks.{benchmark}: unknown section {unknown[0]!r}; a benchmark may have "
                f"{', '.join(sections)}"
            )
        for name, values in own_sections.items():
            if not isinstance(values, dict):
                raise ValueError(
                    f"benchmarks.{benchmark}.{name} is {_short(values)}: expected a section, "
                    f"[benchmarks.{benchmark}.{name}]"
                )
        return BenchmarkSettings.model_validate(
            {name: {**values, **own_sections.get(name, {})} for name, values in sections.items()}
        )

    def with_embedder(self, model: str, revision: str | None) -> Settings:
        """Return these settings with another embedding model."""
        embedding = self.embedding.model_copy(update={"model": model, "revision": revision})
        return self.model_copy(update={"embedding": embedding})


def old_path_of(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the path of a setting under its old name; the path itself if it was not renamed."""
    start = 2 if path[:1] == ("benchmarks",) else 0
    field = Settings.model_fields.get(path[start]) if len(path) > start + 1 else None
    section: Any = field.annotation if field else None
    for old, new in getattr(section, "old_names", {}).items():
        if path[start + 1] == new:
            return (*path[: start + 1], old, *path[start + 2 :])
    return path


def _with_current_names(sections: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    current = dict(sections)
    for name, field in BenchmarkSettings.model_fields.items():
        section: Any = field.annotation
        if isinstance(current.get(name), dict):
            current[name] = section.with_current_names(current[name], f"{prefix}{name}")
    return current


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
