"""Values that a setting takes, and values that it refuses, by the kind of mistake."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from errclust_pipeline.analysis.clustering import ClusteringSettings
from errclust_pipeline.analysis.question_map import QuestionMapSettings
from errclust_pipeline.language_model.options import LanguageModelOptions
from errclust_pipeline.settings import Settings
from errclust_pipeline.settings.sections import (
    ClusteringSection,
    LanguageModelSettings,
    MapSection,
    Section,
    StatisticsSettings,
)

SECTIONS = {
    name: info.annotation
    for name, info in Settings.model_fields.items()
    if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
}
NUMBERS = [
    (name, setting)
    for name, section in SECTIONS.items()
    for setting, info in section.model_fields.items()
    if info.annotation in (int, float, int | None, float | None)
]


@pytest.mark.parametrize(("name", "setting"), NUMBERS)
@pytest.mark.parametrize("value", ["12", True, math.nan, math.inf, -math.inf, 10**30, -1, [1]])
def test_no_number_takes_text_booleans_infinities_or_sizes_beyond_all_use(name, setting, value):
    with pytest.raises(ValidationError):
        Settings.model_validate({name: {setting: value}})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("language_model", {"base_url": "file:///home/me/answers"}),
        ("language_model", {"base_url": "ftp://host/v1"}),
        ("language_model", {"base_url": "http://"}),
        ("language_model", {"base_url": "localhost:8080/v1"}),
        ("language_model", {"base_url": "http://host:99999/v1"}),
        ("language_model", {"base_url": "https://me:word@host/v1"}),
        ("language_model", {"base_url": "http://host/\nv1"}),
        ("language_model", {"key_variable": "HOME"}),
        ("language_model", {"key_variable": "MY KEY"}),
        ("language_model", {"key_variable": ""}),
        ("language_model", {"model": " "}),
        ("language_model", {"most_cost": 1.0}),
        ("embedding", {"model": ""}),
        ("embedding", {"model": "org/model\n"}),
        ("embedding", {"backend": "cuda"}),
        ("submissions", {"folders": ["../elsewhere"]}),
        ("submissions", {"folders": ["drop/../../elsewhere"]}),
        ("submissions", {"folders": ["drop", ""]}),
        ("submissions", {"folders": ["dr\0op"]}),
        ("submissions", {"folders": "drop"}),
        ("submissions", {"folders": [1]}),
        ("submissions", {"warn_after_days": 40}),
        ("statistics", {"scales": []}),
        ("statistics", {"scales": [10, 30, 10]}),
        ("statistics", {"scales": [10, "30"]}),
        ("statistics", {"scales": [True]}),
        ("statistics", {"leave_out_artefacts": 1}),
        ("statistics", {"leave_out_artefacts": "false"}),
        ("errors", {"text": "answer"}),
        ("clustering", {"method": "dbscan"}),
        ("map", 300),
        ("map", ["neighbours"]),
        ("pictures", "yes"),
        ("owners", ["nobody"]),
        ("owners", ["<b>me@example.org</b>"]),
        ("owners", ["team:"]),
        ("benchmarks", 1),
        ("benchmarks", {"gsm8k": 1}),
        ("benchmarks", {"gsm8k": {"map": {"neighbours": "100"}}}),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(name, values):
    with pytest.raises(ValidationError):
        Settings.model_validate({name: values})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("language_model", {"base_url": "http://127.0.0.1:8080/v1", "model": "org/model:4b"}),
        ("language_model", {"base_url": "HTTPS://[::1]:443/v1"}),
        ("submissions", {"folders": ["drop", "/mnt/results", "s3://bucket/a", "hf:org/name"]}),
        ("submissions", {"folders": ["file:///srv/results", "memory://x/../y"]}),
        ("submissions", {"folders": []}),
        ("owners", ["me.too@mail.example.org", "team:evaluation"]),
        ("statistics", {"fdr": 0.2, "scales": [5]}),
        ("selection", {"development_share": 1}),
        ("map", {"near_duplicate_similarity": 1.1}),
        ("benchmarks", {"any name / at all": {"map": {"neighbours": 100}}}),
    ],
)
def test_unusual_values_with_a_meaning_are_accepted(name, values):
    Settings.model_validate({name: values})


def test_an_embedding_folder_that_exists_must_hold_a_model(tmp_path):
    def settings(folder):
        return Settings.model_validate({"embedding": {"model": str(folder)}})

    with pytest.raises(ValidationError, match="holds no model"):
        settings(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValidationError, match="is a file"):
        settings(tmp_path / "notes.txt")
    # A folder on another machine, or one that is not mounted at present.
    assert settings(tmp_path / "later").embedding.model
    (tmp_path / "0_Transformer").mkdir()
    (tmp_path / "0_Transformer" / "model.safetensors").write_bytes(b"weights")
    assert settings(tmp_path).embedding.identity.startswith(tmp_path.name)


def test_sections_have_the_parameters_and_defaults_of_what_they_are_for():
    assert ClusteringSection().parameters() == ClusteringSettings()
    assert MapSection().parameters() == QuestionMapSettings()
    options = LanguageModelSettings(model="m").options()
    assert options == LanguageModelOptions("m")
    assert set(LanguageModelSettings.model_fields) == {
        field.name for field in dataclasses.fields(LanguageModelOptions)
    }
    assert LanguageModelSettings().options() is None


def test_renamed_settings_are_recorded_under_the_names_that_data_roots_know():
    assert StatisticsSettings(fdr=0.1).recorded("fdr", "scales") == {
        "alpha": 0.1,
        "scales": StatisticsSettings().scales,
    }
    recorded = ClusteringSection(random_state=3).recorded()
    assert recorded["seed"] == 3
    assert "random_state" not in recorded


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"statistics": {"alpha": 0.2}}, {"statistics": {"fdr": 0.2}}),
        ({"clustering": {"seed": 7}}, {"clustering": {"random_state": 7}}),
        (
            {"statistics": {"fdr": 0.2}, "benchmarks": {"b": {"statistics": {"alpha": 0.3}}}},
            {"statistics": {"fdr": 0.2}, "benchmarks": {"b": {"statistics": {"fdr": 0.3}}}},
        ),
    ],
)
def test_an_old_name_still_sets_the_setting_and_warns(old, new):
    with pytest.warns(FutureWarning, match="is called"):
        settings = Settings.model_validate(old)
    assert settings == Settings.model_validate(new)
    assert settings.for_benchmark("b") == Settings.model_validate(new).for_benchmark("b")


def test_an_old_name_beside_the_new_one_is_an_error():
    with pytest.raises(ValidationError, match=r"statistics\.alpha is the old name"):
        Settings.model_validate({"statistics": {"alpha": 0.1, "fdr": 0.2}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_any_value_is_taken_as_it_is_or_refused(data):
    name, setting = data.draw(
        st.sampled_from([(name, key) for name in SECTIONS for key in SECTIONS[name].model_fields])
    )
    value = data.draw(JSON)
    try:
        section = getattr(Settings.model_validate({name: {setting: value}}), name)
    except ValidationError:
        return
    taken = getattr(section, setting)
    assert taken == (tuple(value) if isinstance(value, list) else value)
    assert isinstance(taken, bool) == isinstance(value, bool)
    assert isinstance(taken, str) == isinstance(value, str)
