"""What a project can set, in ``<root>/errclust.toml`` or the environment; all have a default.

::

    [embedding]
    model = "static"              # or ERRCLUST_EMBEDDING__MODEL=static in the environment

    [statistics]
    fdr = 0.05

    [benchmarks.gsm8k.errors]     # the same sections again, for one benchmark (by its key)
    text = "question_and_answer"

`sections` describes every setting, and `reference` renders the settings reference from it.
Settings are part of the data version of what they influence: if one changes, ``errclust run``
recomputes what depends on it and nothing else. An override from the environment counts in data
versions like a setting in the file, so set it for every process that works on a data root.
"""

from errclust_pipeline.settings.loading import SETTINGS_FILE, load_settings
from errclust_pipeline.settings.problems import SettingsError
from errclust_pipeline.settings.project import BenchmarkSettings, Settings
from errclust_pipeline.settings.reference import settings_as_markdown
from errclust_pipeline.settings.sections import (
    DiagnosisSettings,
    LanguageModelSettings,
    StatisticsSettings,
)

__all__ = [
    "SETTINGS_FILE",
    "BenchmarkSettings",
    "DiagnosisSettings",
    "LanguageModelSettings",
    "Settings",
    "SettingsError",
    "StatisticsSettings",
    "load_settings",
    "settings_as_markdown",
]
