"""Settings from environment variables."""

import re
from pathlib import Path

import pytest

import errclust_pipeline
from errclust_pipeline.settings import Settings, SettingsError, load_settings
from errclust_pipeline.settings.environment import NOT_SETTINGS, OLD_VARIABLES
from errclust_pipeline.stages import STAGES
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.storage import Storage


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load settings from a file's text and environment variables."""

    def load_from(text="", **variables):
        (tmp_path / "errclust.toml").write_text(text)
        with monkeypatch.context() as context:
            for name, value in variables.items():
                context.setenv(name, value)
            return load_settings(Storage(str(tmp_path)))

    return load_from


def test_the_environment_counts_more_than_the_file(load):
    text = '[embedding]\nmodel = "hashing"\nbackend = "torch"\n'
    settings = load(text, ERRCLUST_EMBEDDING__MODEL="static")
    assert settings.embedding.model == "static"
    assert settings.embedding.backend == "torch"
    assert load(text).embedding.model == "hashing"


@pytest.mark.parametrize(
    ("variable", "value", "path", "expected"),
    [
        ("ERRCLUST_STATISTICS__FDR", "0.1", ("statistics", "fdr"), 0.1),
        ("ERRCLUST_STATISTICS__FDR", "1e-3", ("statistics", "fdr"), 0.001),
        ("ERRCLUST_STATISTICS__SCALES", "[5, 50]", ("statistics", "scales"), (5, 50)),
        ("ERRCLUST_MAP__NEIGHBOURS", "40", ("map", "neighbours"), 40),
        ("ERRCLUST_CLUSTERING__LAYOUT", "false", ("clustering", "layout"), False),
        ("ERRCLUST_SUBMISSIONS__FOLDERS", '["a", "s3://b"]', ("submissions", "folders"), ("a", "s3://b")),
        ("ERRCLUST_LANGUAGE_MODEL__MODEL", "true", ("language_model", "model"), "true"),
        ("ERRCLUST_LANGUAGE_MODEL__MOST_CALLS", "0", ("language_model", "most_calls"), 0),
        ("ERRCLUST_EMBEDDING", '{"model": "static"}', ("embedding", "model"), "static"),
        ("errclust_embedding__model", "static", ("embedding", "model"), "static"),
    ],
)  # fmt: skip
def test_text_becomes_the_type_of_the_setting(load, variable, value, path, expected):
    settings = load(**{variable: value})
    found = getattr(getattr(settings, path[0]), path[1])
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("name", ["PICTURES", "MAP", "OWNERS", "MAP__NEIGHBOURS"])
def test_null_for_what_is_not_optional_is_an_error(load, name):
    with pytest.raises(SettingsError, match=f"ERRCLUST_{name}: expected"):
        load(**{f"ERRCLUST_{name}": "null"})


def test_a_section_and_one_of_its_settings_can_be_set_together(load):
    variables = {
        "ERRCLUST_MAP": '{"neighbours": 5, "exact_up_to": 9}',
        "ERRCLUST_MAP__NEIGHBOURS": "7",
    }
    assert (load(**variables).map.neighbours, load(**variables).map.exact_up_to) == (7, 9)


def test_settings_at_the_top_and_of_a_benchmark_can_be_set(load):
    benchmarks = '{"gsm8k": {"errors": {"text": "response"}}}'
    settings = load(
        ERRCLUST_PICTURES="no", ERRCLUST_OWNERS='["team:a"]', ERRCLUST_BENCHMARKS=benchmarks
    )
    assert settings.pictures is False
    assert settings.owners == ("team:a",)
    assert settings.for_benchmark("gsm8k").errors.text == "response"


def test_null_resets_an_optional_setting_and_an_empty_variable_changes_nothing(load):
    text = '[language_model]\nmodel = "m"\nmost_calls = 5\n'
    variables = {"ERRCLUST_LANGUAGE_MODEL__MOST_CALLS": "null"}
    assert load(text, **variables).language_model.most_calls is None
    assert load(text, ERRCLUST_LANGUAGE_MODEL__MODEL="").language_model.model == "m"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ERRCLUST_STATISTICS__FDR", "2", "must be less than 1"),
        ("ERRCLUST_STATISTICS__FDR", "nan", "finite"),
        ("ERRCLUST_STATISTICS__FDR", "five", "expected a number"),
        ("ERRCLUST_MAP__NEIGHBOURS", "2.5", "expected a whole number"),
        ("ERRCLUST_MAP__NEIGHBOURS", "true", "expected a whole number"),
        ("ERRCLUST_LANGUAGE_MODEL__MOST_CALLS", "-1", "greater than or equal to 0"),
        ("ERRCLUST_PICTURES", "perhaps", "expected true or false"),
        ("ERRCLUST_SUBMISSIONS__FOLDERS", "drop", "expected a list"),
        ("ERRCLUST_STATISTICS__SCALES", '["5"]', "expected a whole number"),
        ("ERRCLUST_STATISTICS__SCALES", "[" * 100_000, "expected a list"),
        ("ERRCLUST_STATISTICS", "[" * 100 + "]" * 100, "expected a section"),
        ("ERRCLUST_MAP", "300", "expected a section"),
        ("ERRCLUST_EMBEDDING", '{"modle": "static"}', "did you mean model"),
        ("ERRCLUST_BENCHMARKS", '{"b": {"map": {"neighbours": 0}}}', "greater than or equal to 1"),
        ("ERRCLUST_EMBEDING__MODEL", "static", "did you mean ERRCLUST_EMBEDDING__MODEL"),
        ("ERRCLUST_EMBEDDING_MODEL", "static", "did you mean ERRCLUST_EMBEDDING__MODEL"),
        ("ERRCLUST_PICTURE", "no", "did you mean ERRCLUST_PICTURES"),
        ("ERRCLUST_NOWHERE__NEAR", "1", "there is no such setting"),
        ("ERRCLUST_BENCHMARKS__GSM8K__MAP__NEIGHBOURS", "5", "as JSON"),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it(load, variable, value, message):
    with pytest.raises(SettingsError, match=message) as caught:
        load(**{variable: value})
    assert variable in str(caught.value)
    assert "errclust.toml" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_variables_that_are_read_elsewhere_are_no_settings(load):
    assert load(**dict.fromkeys(NOT_SETTINGS, "x")) == Settings()


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_80_TCP",
        "PORT_80_TCP_ADDR",
    ],
)
def test_variables_that_a_platform_sets_by_itself_only_warn(load, name):
    # Kubernetes sets these beside a service that is called errclust.
    with pytest.warns(UserWarning, match=f"ERRCLUST_{name} is not a setting"):
        assert load(**{f"ERRCLUST_{name}": "tcp://10.0.0.1:80"}) == Settings()


def test_variables_of_earlier_versions_still_count_less_than_the_file(load):
    variables = {"ERRCLUST_LANGUAGE_MODEL": "a", "ERRCLUST_LANGUAGE_MODEL_URL": "http://h/v1"}
    with pytest.warns(FutureWarning, match="ERRCLUST_LANGUAGE_MODEL__MODEL"):
        settings = load('[language_model]\nmodel = "b"\n', **variables).language_model
    assert (settings.model, settings.base_url) == ("b", "http://h/v1")


def test_every_variable_in_the_package_is_a_setting_or_known_to_be_none():
    folder = Path(errclust_pipeline.__file__).parent
    named = {
        name
        for path in folder.rglob("*.py")
        for name in re.findall(r"\bERRCLUST_[A-Z]+(?:_[A-Z]+)*\b", path.read_text())
        if path.parent.name != "settings"
    }
    assert named <= NOT_SETTINGS | set(OLD_VARIABLES)
    assert "ERRCLUST_ROOT" in named


def test_a_renamed_setting_makes_nothing_stale(load):
    partition = SubmissionPartition("benchmark", "model")
    with pytest.warns(FutureWarning):
        old = load("[statistics]\nalpha = 0.2\n[clustering]\nseed = 3\n")
    new = load("[statistics]\nfdr = 0.2\n[clustering]\nrandom_state = 3\n")
    for stage in STAGES.values():
        recorded = dict(stage.settings(new, partition))
        assert recorded == dict(stage.settings(old, partition))
        assert not {"fdr", "random_state"} & set(recorded)
    recorded = [dict(stage.settings(new, partition)) for stage in STAGES.values()]
    assert any(settings.get("alpha") == 0.2 for settings in recorded)
    assert any(settings.get("seed") == 3 for settings in recorded)


def test_an_override_counts_in_provenance_as_the_file_does(load):
    partition = SubmissionPartition("benchmark", "model")
    texts = (
        '[embedding]\nmodel = "static"\n[statistics]\nfdr = 0.2\n[clustering]\nrandom_state = 3\n'
    )
    from_file = load(texts)
    from_environment = load(
        ERRCLUST_EMBEDDING__MODEL="static",
        ERRCLUST_STATISTICS__FDR="0.2",
        ERRCLUST_CLUSTERING__RANDOM_STATE="3",
    )
    changed = 0
    for stage in STAGES.values():
        recorded = dict(stage.settings(from_environment, partition))
        assert recorded == dict(stage.settings(from_file, partition))
        changed += recorded != dict(stage.settings(Settings(), partition))
    assert changed >= 8
    assert not RAW_RESULTS_STAGE.settings(from_environment, partition)
