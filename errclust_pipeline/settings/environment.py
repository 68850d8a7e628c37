"""Settings from the environment: ``ERRCLUST_EMBEDDING__MODEL=static`` sets ``embedding.model``.

They count more than the settings file. Values are text: they are converted to the setting's type
before it is checked, lists and sections from JSON. ``null`` resets an optional setting; an empty
variable counts as not set.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pydantic

from errclust_pipeline.settings.problems import SettingsError, close_match
from errclust_pipeline.settings.project import Settings
from errclust_pipeline.settings.sections import Section
from errclust_pipeline.settings.toml_file import MAX_DEPTH, depth_of

PREFIX = "ERRCLUST_"
DELIMITER = "__"
NOT_SETTINGS = frozenset(
    {"ERRCLUST_ROOT", "ERRCLUST_REALMISTAKE_PASSWORD", "ERRCLUST_BENCHMARK_EMBEDDER"}
)
"""Variables that begin like settings and are read elsewhere."""
OLD_VARIABLES: Mapping[str, tuple[str, str]] = {
    "ERRCLUST_LANGUAGE_MODEL": ("language_model", "model"),
    "ERRCLUST_LANGUAGE_MODEL_URL": ("language_model", "base_url"),
}
"""Variables of earlier versions, which count less than the settings file."""


@dataclass(frozen=True)
class EnvironmentSettings:
    """What the environment sets.

    Attributes
    ----------
    values : dict
        Values by section and name, not yet checked; they count more than the settings file.
    fallbacks : dict
        The same for variables of earlier versions, which count less than the settings file.
    variables : mapping
        The variable that sets each path, such as ``("embedding", "model")``.
    """

    values: dict[str, Any] = field(default_factory=dict)
    fallbacks: dict[str, Any] = field(default_factory=dict)
    variables: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def over(self, file_values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of a settings file together with those of the environment."""
        return merged(merged(self.fallbacks, file_values), self.values)

    def variable_of(self, where: tuple[str, ...]) -> str | None:
        """Return the variable that sets a path; None if the environment does not set it."""
        for length in range(len(where), 0, -1):
            if where[:length] in self.variables:
                return self.variables[where[:length]]
        return None


def read_environment() -> EnvironmentSettings:
    """Read the settings in the environment.

    Raises
    ------
    SettingsError
        If a variable looks like a setting, and there is no such setting.
    """
    given = {
        name.upper(): name
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX) and name.upper() not in NOT_SETTINGS and value
    }
    if not given:
        return EnvironmentSettings()
    fallbacks: dict[str, Any] = {}
    for name, (section, setting) in OLD_VARIABLES.items():
        value = os.environ.get(given.get(name, name), "")
        if value and not value.lstrip().startswith("{"):
            new = variable_name((section, setting))
            warnings.warn(
                f"the environment variable {name} is called {new} now, and the new one counts more "
                "than errclust.toml; the old one will stop working in a later version",
                FutureWarning,
                stacklevel=2,
            )
            fallbacks.setdefault(section, {})[setting] = value
            del given[name]
    known = dict(_known_variables())
    for name in list(given):
        if name not in known:
            _report_unknown(given.pop(name), known)
    variables = {known[name]: original for name, original in given.items()}
    return EnvironmentSettings(_values_of(variables), fallbacks, variables)


def variable_name(where: tuple[str, ...]) -> str:
    """Return the name of the environment variable that sets a path."""
    return PREFIX + DELIMITER.join(where).upper()


def merged(values: Mapping[str, Any], more_important: Mapping[str, Any]) -> dict[str, Any]:
    """Return two sets of values as one; of two values for one setting, the more important."""
    result = dict(values)
    for name, value in more_important.items():
        present = result.get(name)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            result[name] = merged(present, value)
        else:
            result[name] = value
    return result


def _values_of(variables: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    """Return the values of variables, converted from text to the types of their settings."""
    # Imported here: most processes have no setting in their environment.
    import pydantic_settings

    class Environment(Settings, pydantic_settings.BaseSettings):
        # Strict, it would convert text by itself, and take "true" for the number 1.
        model_config = pydantic_settings.SettingsConfigDict(
            env_prefix=PREFIX,
            env_nested_delimiter=DELIMITER,
            env_parse_none_str="null",
            strict=False,
        )

    class Source(pydantic_settings.EnvSettingsSource):
        def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
            """Read JSON; text that is no JSON stays as it is, and the strict check refuses it."""
            try:
                decoded = super().decode_complex_value(field_name, field, value)
            except (ValueError, RecursionError):
                return value
            return value if depth_of(decoded) > MAX_DEPTH else decoded

    source = Source(Environment)
    names = {name.lower() for name in variables.values()}
    source.env_vars = {name: text for name, text in source.env_vars.items() if name in names}
    values = source()
    for *headings, name in variables:
        section: Any = values
        fields: Any = Settings.model_fields
        for heading in headings:
            section = section.get(heading)
            fields = fields[heading].annotation.model_fields
        if isinstance(section, dict) and isinstance(section.get(name), str):
            section[name] = _from_text(section[name], fields[name].annotation)
    return values


def _from_text(text: str, annotation: Any) -> Any:
    """Convert text to a type; other text stays as it is, and the strict check refuses it."""
    try:
        return pydantic.TypeAdapter(annotation).validate_strings(text)
    except pydantic.ValidationError:
        return text


@lru_cache(maxsize=1)
def _known_variables() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return all variables that set something, with the path that each sets."""

    def paths() -> Iterator[tuple[str, ...]]:
        for name, info in Settings.model_fields.items():
            yield (name,)
            section = info.annotation
            if isinstance(section, type) and issubclass(section, Section):
                yield from ((name, setting) for setting in section.model_fields)

    return tuple((variable_name(path), path) for path in paths())


def _report_unknown(name: str, known: Mapping[str, tuple[str, ...]]) -> None:
    """Raise an error if a variable is meant for errclust, else warn.

    Some platforms set variables of this prefix by themselves: Kubernetes sets
    ``ERRCLUST_SERVICE_HOST`` in each container beside a service called errclust.
    """
    if name.upper().startswith(variable_name(("benchmarks", ""))):
        raise SettingsError(
            f"environment variable {name}: set one benchmark's sections as JSON, "
            f'{variable_name(("benchmarks",))}=\'{{"gsm8k": {{"map": {{"neighbours": 100}}}}}}\''
        )
    # Without the prefix, which would make any two variables look alike.
    likely = close_match(
        name.upper().removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in known]
    )
    if likely is None and DELIMITER not in name:
        warnings.warn(
            f"the environment variable {name} is not a setting of errclust, and has no effect",
            UserWarning,
            stacklevel=3,
        )
        return
    hint = f"did you mean {PREFIX}{likely}?" if likely else "see the settings reference"
    raise SettingsError(f"environment variable {name}: there is no such setting; {hint}")
