import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.formats.open_llm_leaderboard_v1 import choose_runs, details_of
from errclust_pipeline_tests.helpers.leaderboards import (
    ARC,
    DROP,
    GSM8K,
    HELLASWAG,
    LAYOUTS,
    TIME,
    TRUTHFULQA,
    WINOGRANDE,
    detail,
    details_name,
    details_v1,
    is_right,
)
from errclust_pipeline_tests.sources.reading import Read, read_or_error

MODEL = "details_org__model"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_rows(folder: Path, rows: list[dict[str, Any]], task: str = ARC) -> Path:
    path = folder / MODEL / details_name(task)
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, options=options)
    return Read(submission)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("task", "benchmark", "metric", "question"),
    [
        (ARC, "arc_challenge", "acc_norm", "What is tool 1 made of?"),
        (
            HELLASWAG,
            "hellaswag",
            "acc_norm",
            "Making tools: Someone takes tool 1 and shows what it is made of.",
        ),
        (WINOGRANDE, "winogrande", "acc", "Tool 1 beat the other because _ is harder."),
        (TRUTHFULQA, "truthfulqa_mc2", "mc2", "What happens if you swallow tool 1?"),
    ],
)
def test_choices_are_read_in_every_layout(
    tmp_path: Path, layout: str, task: str, benchmark: str, metric: str, question: str
) -> None:
    write(tmp_path / MODEL, details_v1([task], layout=layout))
    [submission] = find_submissions(tmp_path)
    assert (submission.reader, submission.benchmark, submission.model) == (
        "open_llm_leaderboard_v1",
        benchmark,
        "org/model",
    )
    result = Read(submission)
    assert [row["correct"] for row in result.rows] == [is_right(number) for number in range(6)]
    expected = {
        "example_id": "1",
        "question": question,
        "choices": ["wood", "iron"],
        "gold": "iron",
        "gold_choice": 1,
        "predicted_choice": 0,
        "prediction": "wood",
        "choice_log_likelihoods": [-1.0, -30.0],
        "choice_lengths": [4, 4],
        "metric": metric,
        "score": 0.25 if task == TRUTHFULQA else 0.0,
        "response": None,
    }
    assert {name: result.rows[1][name] for name in expected} == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_generated_answers_are_responses(tmp_path: Path, layout: str) -> None:
    write(tmp_path / MODEL, details_v1([GSM8K], layout=layout))
    result = read(tmp_path)
    expected = {
        "question": "A shop has 1 tools and buys one. How many has it?",
        "choices": None,
        "response": "It has 2 tools.\n#### 0",
        "prediction": None,
        "extraction_recorded": False,
        "score": 0.0,
        "metric": "acc",
    }
    assert {name: result.rows[1][name] for name in expected} == expected
    assert sum(row["correct"] for row in result.rows) == 2


def test_drop_has_its_passage_and_scores_that_are_texts(tmp_path: Path) -> None:
    write(tmp_path / MODEL, details_v1([DROP], layout="columns"))
    first, second = read(tmp_path).rows[:2]
    assert first["question"].startswith("There were twelve tools in every year.\n\nHow many tools")
    assert (first["score"], second["score"]) == (1.0, 0.2)
    assert (first["correct"], second["correct"]) == (True, False)


def test_the_subjects_of_mmlu_are_one_benchmark(tmp_path: Path) -> None:
    subjects = ("anatomy", "virology", "us_foreign_policy")
    write(tmp_path / MODEL, details_v1([f"hendrycksTest-{one}" for one in subjects], rows=4))
    [submission] = find_submissions(tmp_path)
    result = Read(submission)
    assert (submission.benchmark, len(submission.files), len(result.rows)) == ("mmlu", 3, 12)
    assert {row["subject"] for row in result.rows} == set(subjects)
    row = next(row for row in result.rows if row["example_id"] == "virology:1")
    assert row["question"] == "In virology, what is tool 1 made of?"
    assert (row["choices"], row["gold"], row["prediction"]) == (["wood", "iron"], "iron", "wood")
    assert Path(row["source"]).name == details_name("hendrycksTest-virology").partition("/")[2]
    assert row["position"] == 1


def test_one_subject_of_mmlu_is_no_benchmark(tmp_path: Path) -> None:
    write(tmp_path / MODEL, details_v1(["hendrycksTest-anatomy"]))
    [path] = tmp_path.rglob("*.parquet")
    with pytest.raises(SourceError, match="give the folder they lie in"):
        find_submissions(path)


def test_options_that_stand_in_the_question_twice_are_the_last_ones(tmp_path: Path) -> None:
    text = "Which list is right?\nA. this\nOr rather:\nA. first\nB. second\nAnswer:"
    row = detail("hendrycksTest-logic", 0) | {"example": text}
    path = write_rows(tmp_path, [row], "hendrycksTest-logic")
    [response] = read(path.parent).rows
    assert response["question"] == "Which list is right?\nA. this\nOr rather:"
    assert response["choices"] == ["first", "second"]
    # Of the letters that were scored, not of what they stand for.
    assert response["choice_lengths"] == [1, 1]


def test_the_instruction_before_a_question_is_no_part_of_it(tmp_path: Path) -> None:
    row = detail("hendrycksTest-logic", 0)
    instruction = "Here is one more of the questions on logic.\n\n"
    row |= {"instruction": instruction, "example": instruction + row["example"]}
    path = write_rows(tmp_path, [row], "hendrycksTest-logic")
    [response] = read(path.parent).rows
    assert response["question"] == "In logic, what is tool 0 made of?"


def test_the_newest_run_that_is_whole_counts() -> None:
    older, newer = "2023-08-18T00:00:43.862234", "2023-09-15T09-53-02.418861"
    whole = [
        details_name(f"hendrycksTest-{one}", time=older) for one in ("anatomy", "virology", "logic")
    ]
    paths = [
        *whole,
        details_name("hendrycksTest-anatomy", time=newer),
        details_name("hendrycksTest-logic", shots=0, time=newer),
        details_name(ARC, time=older),
        details_name(ARC, time=newer),
        details_name(GSM8K, shots=8, time=older),
    ]
    chosen = choose_runs(one for path in paths if (one := details_of(path)))
    assert {benchmark: [one.path for one in run] for benchmark, run in chosen.items()} == {
        "arc_challenge": [details_name(ARC, time=newer)],
        "gsm8k": [details_name(GSM8K, shots=8, time=older)],
        "mmlu": sorted(whole),
    }


def test_the_results_file_names_the_model_where_no_folder_does(tmp_path: Path) -> None:
    write(tmp_path, details_v1([ARC]))
    with pytest.raises(SourceError, match="--model"):
        find_submissions(tmp_path)
    results = {"config_general": {"model_name": "meta/llama"}}
    (tmp_path / f"results_{TIME}.json").write_text(json.dumps(results))
    [submission] = find_submissions(tmp_path)
    assert submission.model == "meta/llama"
    [submission] = find_submissions(tmp_path, options={"model": "me/mine"})
    assert submission.model == "me/mine"


def test_the_choice_is_normalised_by_length_where_the_metric_is(tmp_path: Path) -> None:
    row = detail(ARC, 0) | {"choices": ["no", "a long option indeed"], "predictions": [-2.0, -4.0]}
    path = write_rows(tmp_path, [row])
    assert read(path).rows[0]["predicted_choice"] == 1
    assert read(path, metric="acc").rows[0]["predicted_choice"] == 0


def test_what_cannot_be_used_of_a_row_is_rejected(tmp_path: Path) -> None:
    good = detail(ARC, 0)
    rows = [
        good,
        good | {"metrics": {"acc": 1.0, "acc_norm": None}},
        good | {"example": " "},
        good | {"metrics": {"acc": 1.0, "acc_norm": 7.0}},
    ]
    result = read(write_rows(tmp_path, rows))
    assert len(result.rows) == 1
    assert result.reasons == ["missing_metric", "missing_question", "score_out_of_range"]


def test_predictions_and_metrics_may_be_written_as_text(tmp_path: Path) -> None:
    row = detail(ARC, 1) | {
        "predictions": json.dumps(["-1.0", "-30.0"]),
        "choices": json.dumps(["wood", "iron"]),
        "gold_index": "1",
        "metrics": json.dumps({"acc": 0.0, "acc_norm": 0.0}),
    }
    [response] = read(write_rows(tmp_path, [row])).rows
    assert (response["prediction"], response["gold"]) == ("wood", "iron")
    assert response["score"] == 0.0


def test_the_oldest_options_of_truthfulqa_stand_apart(tmp_path: Path) -> None:
    row = detail(TRUTHFULQA, 1, "columns")
    del row["choices"], row["gold"]
    row["mc1_targets"] = {"choices": ["nothing", "you die"], "labels": [0, 1]}
    [response] = read(write_rows(tmp_path, [row], TRUTHFULQA)).rows
    assert response["choices"] == ["nothing", "you die"]
    assert (response["gold"], response["prediction"]) == ("you die", "nothing")


def test_a_file_without_a_metric_says_what_it_has(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [{"example": "q", "predictions": [1.0], "rating": 3}])
    with pytest.raises(SourceError, match=r"no metric acc_norm.*rating"):
        read(path)


def test_another_metric_can_decide(tmp_path: Path) -> None:
    row = detail(ARC, 0) | {"metrics": {"acc": 0.0, "acc_norm": 1.0}}
    path = write_rows(tmp_path, [row])
    assert read(path, metric="acc").rows[0]["score"] == 0.0
    with pytest.raises(SourceError, match=r"no metric mc1.*acc_norm"):
        read(path, metric="mc1")


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = write_rows(tmp_path, [detail(ARC, number) for number in range(50)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SourceError, match="Parquet"):
        read(path)


GOOD = [detail(ARC, number) for number in range(3)]
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "integers": st.integers(-(2**63), 2**63 - 1) | st.none(),
    "numbers": st.floats() | st.none(),
    "truths": st.booleans() | st.none(),
    "texts": st.sampled_from(["", " ", "text", "[1]", "[", "{}", "1", "nan", "\nA. x\nB. y"])
    | st.none(),
    "lists": st.none() | st.lists(st.floats() | st.none(), max_size=4),
    "lists of texts": st.none() | st.lists(st.sampled_from(["A", "B", "-1", ""]), max_size=4),
    "lists of lists": st.none() | st.lists(st.lists(st.integers(-3, 3), max_size=2), max_size=2),
    "objects": st.none()
    | st.fixed_dictionaries({"acc": st.none() | st.floats(), "acc_norm": st.booleans()}),
}
"""What a column may hold, one type each: more a Parquet file does not let in."""


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_in_the_columns_ends_in_rows_rejects_or_one_error(data: st.DataObject) -> None:
    columns = {name: [row[name] for row in GOOD] for name in GOOD[0]}
    for name in data.draw(st.sets(st.sampled_from([*columns, "query", "acc_norm", "metrics.acc"]))):
        kind = data.draw(st.sampled_from(["gone", *COLUMNS]))
        columns.pop(name, None)
        if kind != "gone":
            columns[name] = [data.draw(COLUMNS[kind]) for _ in GOOD]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL, details_name(ARC))
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(columns), path)
        [submission] = find_submissions(path)
        result, error = read_or_error(submission)
    assert str(path) in error if result is None else result.total == len(GOOD)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_bytes_end_in_rows_rejects_or_one_error(data: st.DataObject) -> None:
    content = bytearray(details_v1([ARC])[details_name(ARC)])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL, details_name(ARC))
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        [submission] = find_submissions(path)
        result, error = read_or_error(submission)
    assert result is not None or str(path) in error
