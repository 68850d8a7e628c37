import pytest

from errclust_pipeline.settings import Settings, SettingsError, load_settings
from errclust_pipeline.warehouse.storage import Storage


def settings_from(tmp_path, text: str) -> Settings:
    (tmp_path / "errclust.toml").write_text(text)
    return load_settings(Storage(str(tmp_path)))


def test_without_a_file_the_defaults_hold(tmp_path):
    assert load_settings(Storage(str(tmp_path))) == Settings()


def test_a_benchmark_has_its_own_settings_and_the_projects_otherwise(tmp_path):
    settings = settings_from(
        tmp_path,
        '[errors]\ntext = "question"\n[clustering]\nseed = 7\n'
        '[benchmarks.gsm8k.errors]\ntext = "response"\n',
    )
    assert settings.for_benchmark("gsm8k").errors.text == "response"
    assert settings.for_benchmark("gsm8k").clustering.seed == 7
    assert settings.for_benchmark("other").errors.text == "question"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[errors", "not valid TOML"),
        ('[errors]\ntext = "answer"', r"errors\.text.*question_and_answer"),
        ("[errors]\ntexts = 1", r"errors\.texts: is not known; known are text"),
        ("[error]\ntext = 'question'", r"error: is not known; known are errors, clustering"),
        ("[clustering]\nresolutions = 3", "resolutions.*known are"),
        ('[clustering]\nmethod = "kmeans"', "clustering"),
        ("[benchmarks.gsm8k.errors]\ntext = 1", r"benchmarks\.gsm8k\.errors\.text"),
        ("[benchmarks.gsm8k]\nerrors = 3", r"benchmarks\.gsm8k\.errors is 3: expected a section"),
        ("[benchmarks.gsm8k.embedding]\nmodel = 'x'", "unknown section 'embedding'"),
        ("[plots]\na = 1", "plots"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_file_and_key(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message) as caught:
        settings_from(tmp_path, text)
    assert "errclust.toml" in str(caught.value)
