import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from errclust_pipeline.settings import Settings, SettingsError, load_settings
from errclust_pipeline.warehouse.storage import Storage

CODECS = ["utf-8", "utf-8-sig", "utf-16", "latin-1"]


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
    assert settings.for_benchmark("gsm8k").clustering.random_state == 7
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[map]\nneighbours = 3\n".encode("utf-16"), "save it as UTF-8"),
        ("[map]\nneighbours = 3\n".encode("utf-16-be"), "save it as UTF-8"),
        (b"pictures = true\n[embedding]\nmodel = '\xff'\n", "line 3.*UTF-8"),
        (b"[errors\n", r"line 1"),
        (b"[map]\nneighbours = 3\nneighbours = 4\n", "not valid TOML"),
        (b"[map]\n[map]\n", "not valid TOML"),
        (b"x = 1" + b"0" * 5_000, "not valid TOML"),
        (b"\n\nx = " + b"[" * 60_000, "line 3: nested more than 20 deep"),
        (b"x = " + b"[" * 30 + b"]" * 30, "line 1: nested more than 20 deep"),
        (b"x" + b".x" * 2_000 + b" = 1", "nested more than 20 deep"),
        (b"#" * 1_000_001, "larger than 1,000,000 bytes"),
        (b"[map]\nneighbors = 300\n", r"line 2: map\.neighbors: .*did you mean neighbours"),
        (b"[statistics]\n# the rate\nalpha = 2\n", r"line 3: statistics\.fdr: must be less"),
        (b"[map]\nneighbours = 3\n[map.extra]\nx = 1\n", r"line 3: map\.extra: is not known"),
        (b"statistics.fdr = 0.1\nmap.neighbours = '3'\n", r"line 2: map\.neighbours: expected"),
        (b"[benchmarks.a.map]\n[benchmarks.b.map]\nneighbours = 0", r"line 3: benchmarks\.b\.map"),
        (b"[map]\nneighbours = 1979-05-27\n", "expected a whole number"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_damaged_file_is_an_error_that_names_the_place(tmp_path, content, message):
    (tmp_path / "errclust.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(Storage(str(tmp_path)))
    assert "errclust.toml" in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path):
    text = "\ufeff[map]\r\nneighbours = 42\r\n"
    (tmp_path / "errclust.toml").write_bytes(text.encode())
    assert load_settings(Storage(str(tmp_path))).map.neighbours == 42


def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path):
    secret = "sk-ant-not-to-be-seen"
    for line in (f'api_key = "{secret}"', f'key_variable = "{secret}"', f'tries = "{secret}"'):
        with pytest.raises(SettingsError) as caught:
            settings_from(tmp_path, f'[language_model]\nmodel = "m"\n{line}\n')
        assert secret not in str(caught.value)
        assert "line 3" in str(caught.value)


def test_all_mistakes_of_a_file_are_named_at_once(tmp_path):
    with pytest.raises(SettingsError) as caught:
        settings_from(tmp_path, "[map]\nneighbours = 0\n[selection]\nbudget = true\n")
    assert "map.neighbours" in str(caught.value)
    assert "selection.budget" in str(caught.value)


LINES = st.sampled_from(
    [
        "[map]",
        "[benchmarks.b.map]",
        "[statistics]",
        "neighbours = 3",
        "neighbours = '3'",
        "alpha = nan",
        "fdr = 0.1",
        "scales = [1, [2, {x = 3}]]",
        "x = [[[[",
        'text = """',
        "\ufeff",
        "benchmarks = []",
        "map = 3",
        "a.b.c.d = 1",
    ]
)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings_of_hypothesis(deadline=None)
@given(lines=st.lists(LINES | st.text(max_size=8), max_size=6), codec=st.sampled_from(CODECS))
def test_any_file_is_read_or_refused_with_its_name(tmp_path_factory, lines, codec):
    folder = tmp_path_factory.mktemp("root")
    (folder / "errclust.toml").write_bytes("\n".join(lines).encode(codec, "replace"))
    try:
        loaded = load_settings(Storage(str(folder)))
    except SettingsError as error:
        if "errclust.toml" not in str(error):
            raise
        return
    assert 0 < loaded.statistics.fdr < 1
    assert loaded.for_benchmark("b").map.neighbours in (3, 300)
