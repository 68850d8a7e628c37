"""Loading a project's settings: the file, the environment over it, and the check of both."""

from __future__ import annotations

import pydantic

from errclust_pipeline.settings.environment import EnvironmentSettings, read_environment
from errclust_pipeline.settings.problems import Problem, SettingsError, problems_of
from errclust_pipeline.settings.project import Settings, old_path_of
from errclust_pipeline.settings.toml_file import TomlFile
from errclust_pipeline.warehouse.storage import Storage

SETTINGS_FILE = "errclust.toml"
_MAX_PROBLEMS = 5
"""Maximum number of mistakes that one error names."""


def load_settings(storage: Storage) -> Settings:
    """Read a project's settings: the defaults, the settings file over them, and the environment.

    Parameters
    ----------
    storage : Storage
        The data root.

    Raises
    ------
    SettingsError
        If the file is not valid TOML, or a setting is unknown or has a value that it cannot have.
        The message names the file and line, or the environment variable.
    """
    file = TomlFile.read(storage, SETTINGS_FILE)
    environment = read_environment()
    try:
        return Settings.model_validate(environment.over(file.values))
    except pydantic.ValidationError as error:
        problems = problems_of(error, Settings)
        lines = [_described(problem, file, environment) for problem in problems[:_MAX_PROBLEMS]]
        if len(problems) > _MAX_PROBLEMS:
            lines.append(f"and {len(problems) - _MAX_PROBLEMS} more mistakes")
        raise SettingsError("; ".join(lines) + " (see the settings reference)") from error


def _described(problem: Problem, file: TomlFile, environment: EnvironmentSettings) -> str:
    variable = environment.variable_of(problem.where)
    if variable:
        return f"environment variable {variable}: {problem.message}"
    line = file.line_of(problem.where, old_path_of(problem.where))
    place = file.path if line is None else f"{file.path}, line {line}"
    setting = f"{'.'.join(problem.where)}: " if problem.where else ""
    got = f", got {problem.got}" if problem.got else ""
    return f"{place}: {setting}{problem.message}{got}"
