import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.formats.lm_eval_rows import log_likelihoods
from errclust_pipeline_tests.sources.reading import Read, write_lines

TIME = "2025-01-28T10-22-20.980995"


def generated(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"question": f"What is {number} + 1?", "answer": f"#### {number + 1}"},
        "target": str(number + 1),
        "arguments": {"gen_args_0": {"arg_0": "few shots", "arg_1": {"until": []}}},
        "resps": [["I think it is 5."]],
        "filtered_resps": ["5"],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": f"hash{number}",
        "exact_match": 1.0 if number == 4 else 0.0,
    } | changes


def chosen(number: int, likelihoods: list[Any], **changes: Any) -> dict[str, Any]:
    """A multiple-choice row as written before 0.4.7: no filter, no list of metrics."""
    return {
        "doc_id": number,
        "doc": {"input": f"not ( True ) and {number}", "target": "False"},
        "target": "False",
        "arguments": [["prompt", " False"], ["prompt", " True"]],
        "resps": [[likelihood] for likelihood in likelihoods],
        "filtered_resps": likelihoods,
        "doc_hash": f"hash{number}",
        "acc_norm": 0.0,
    } | changes


def samples(folder: Path, task: str, rows: list[Any], time: str = TIME) -> Path:
    return write_lines(folder / f"samples_{task}_{time}.jsonl", rows)


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, options=options)
    return Read(submission)


def test_a_generated_answer_becomes_a_response(tmp_path: Path) -> None:
    path = samples(tmp_path / "org__model", "arithmetic", [generated(3, finish_reason="length")])
    [submission] = find_submissions(path)
    assert (submission.reader, submission.benchmark, submission.model) == (
        "lm_eval",
        "arithmetic",
        "org/model",
    )
    [response] = Read(submission).rows
    expected = {
        "example_id": "3",
        "question": "What is 3 + 1?",
        "gold": "4",
        "response": "I think it is 5.",
        "prediction": "5",
        "score": 0.0,
        "metric": "exact_match",
        "filter": "none",
        "finish_reason": "length",
        "choice_log_likelihoods": None,
        "metadata": '{"doc_hash": "hash3"}',
    }
    assert {name: response[name] for name in expected} == expected


@pytest.mark.parametrize(
    "likelihoods",
    [
        [["-1.5", "False"], ["-0.5", "True"]],
        [[-1.5, False], [-0.5, True]],
        [-1.5, -0.5],
    ],
)
def test_likelihoods_are_read_in_every_form(tmp_path: Path, likelihoods: list[Any]) -> None:
    path = samples(tmp_path, "leaderboard_bbh_boolean", [chosen(1, likelihoods)])
    [response] = read(path).rows
    expected = {
        "choices": ["False", "True"],
        "choice_log_likelihoods": [-1.5, -0.5],
        "choice_lengths": [5, 4],
        "predicted_choice": 1,
        "prediction": "True",
        "gold_choice": 0,
        "gold": "False",
        "response": None,
        "metric": "acc_norm",
        "filter": None,
    }
    assert {name: response[name] for name in expected} == expected


def test_what_was_scored_has_a_length_only_where_the_requests_are_there(tmp_path: Path) -> None:
    letters = [["prompt", " A"], ["prompt", " B"]]
    rows = [
        chosen(number, [[-1.5, False], [-0.5, True]], arguments=arguments)
        for number, arguments in enumerate((letters, None, letters[:1]))
    ]
    found = read(samples(tmp_path, "leaderboard_bbh_boolean", rows)).rows
    assert [row["choice_lengths"] for row in found] == [[1, 1], None, None]


def test_the_choice_by_acc_norm_is_normalised_by_length(tmp_path: Path) -> None:
    arguments = [["p", " no"], ["p", " a long option indeed"]]
    row = chosen(1, [-2.0, -4.0], arguments=arguments, target="1", acc=0.0, acc_norm=1.0)
    samples(tmp_path / "m", "hellaswag", [row])
    assert read(tmp_path).rows[0]["predicted_choice"] == 1
    assert read(tmp_path, metric="acc").rows[0]["predicted_choice"] == 0


@pytest.mark.parametrize(
    ("doc", "target", "choices", "gold"),
    [
        ({"question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}}, "B", "xy", 1),
        ({"question": "q", "options": ["x", "y"], "answer_index": 1}, " B", "xy", 1),
        ({"question": "q", "choices": ["x", "y"], "answer": 1}, 1, "xy", 1),
        ({"sentence": "q", "option1": "x", "option2": "y"}, "0", "xy", 0),
        ({"question": "q", "choices": ["1", "0"]}, "1", "10", 1),
        ({"Question": "q", "choice1": "x", "choice2": "y"}, "(A)", "xy", 0),
    ],
)
def test_options_and_the_right_one_are_found(
    tmp_path: Path, doc: dict[str, Any], target: Any, choices: str, gold: int
) -> None:
    arguments = {f"gen_args_{n}": {"arg_0": "p", "arg_1": f" {n}"} for n in range(2)}
    row = chosen(1, [-1.0, -2.0], doc=doc, target=target, arguments=arguments, acc=float(gold == 0))
    [response] = read(samples(tmp_path, "mmlu_law", [row])).rows
    assert response["choices"] == list(choices)
    assert response["gold_choice"] == gold
    assert response["question"] == "q"


def test_the_answer_filter_of_the_leaderboard_decides_and_others_are_passed_over(
    tmp_path: Path,
) -> None:
    rows = [
        generated(n, filter=name, filtered_resps=[name])
        for name in ("flexible-extract", "strict-match")
        for n in range(3)
    ]
    path = samples(tmp_path, "gsm8k", rows)
    found = read(path)
    assert {row["filter"] for row in found.rows} == {"strict-match"}
    assert (len(found.rows), found.skipped, found.total) == (3, 3, 6)
    assert read(path, filter="flexible-extract").rows[0]["prediction"] == "flexible-extract"
    [submission] = find_submissions(path, options={"filter": "nothing"})
    with pytest.raises(SourceError, match="'flexible-extract', 'strict-match'"):
        Read(submission)


@pytest.mark.parametrize(
    ("filters", "chosen_filter"),
    [(["b", "none"], "none"), (["a", "flexible-extract"], "flexible-extract"), (["b", "a"], "b")],
)
def test_without_a_rule_the_whole_response_is_preferred(
    tmp_path: Path, filters: list[str], chosen_filter: str
) -> None:
    path = samples(tmp_path, "task", [generated(1, filter=name) for name in filters])
    assert [row["filter"] for row in read(path).rows] == [chosen_filter]


def test_metrics_of_every_form_are_read_or_rejected(tmp_path: Path) -> None:
    values = [
        True,
        0,
        1.0,
        [True, False],
        {"score": 0.25, "other": 1},
        {"only": 1},
        [2, 3],
        {"a": 1, "b": 0},
        "N/A",
        None,
        float("nan"),
        float("inf"),
        10**300,
        -1,
        50.0,
        [],
    ]
    rows = [generated(n, exact_match=value) for n, value in enumerate([*values, *[1] * 10])]
    found = read(samples(tmp_path, "task", rows))
    assert [row["score"] for row in found.rows] == [
        *[1.0, 0.0, 1.0, 0.5, 0.25, 1.0],
        0.0,  # No verdict, and so wrong.
        *[1.0] * 10,
    ]
    assert found.reasons == ["unusable_metric"] * 4 + ["score_out_of_range"] * 4 + [
        "unusable_metric"
    ]
    assert found.total == len(rows)


def test_one_metric_decides_for_all_rows(tmp_path: Path) -> None:
    rows = [generated(n, acc=1, acc_norm=0) for n in range(3)] + [generated(3, acc=1)]
    for row in rows:
        row.pop("metrics", None)
        row.pop("exact_match", None)
    found = read(samples(tmp_path, "hellaswag", rows))
    assert [row["metric"] for row in found.rows] == ["acc_norm"] * 3
    assert found.reasons == ["missing_metric"]


def test_a_metric_that_is_no_score_is_passed_over(tmp_path: Path) -> None:
    rows = [generated(n, perplexity=-1.5 - n, acc=1) for n in range(4)]
    for row in rows:
        row["metrics"] = ["perplexity", "acc"]
    found = read(samples(tmp_path, "lambada_openai", rows))
    assert {row["metric"] for row in found.rows} == {"acc"}


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("leaderboard_mmlu_pro", "acc"),
        ("leaderboard_musr_murder", "acc_norm"),
        ("leaderboard_ifeval", "prompt_level_strict_acc"),
        ("leaderboard_math_algebra_hard", "exact_match"),
        ("arc_challenge", "acc_norm"),
        ("winogrande", "acc"),
        ("something_else", "exact_match"),
    ],
)
def test_the_leaderboards_metric_decides(tmp_path: Path, task: str, metric: str) -> None:
    values = {"acc_norm": 1, "prompt_level_strict_acc": True, "acc": 1.0, "exact_match": 1}
    row = {key: value for key, value in generated(1).items() if key not in ("metrics", "filter")}
    path = samples(tmp_path, task, [row | values])
    assert read(path).rows[0]["metric"] == metric
    assert read(path, metric="acc").rows[0]["metric"] == "acc"


def test_the_question_falls_back_on_the_prompts_last_user_turn(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "first"}, {"role": "user", "content": "second"}]
    prompts = [json.dumps(turns), "plain prompt", [json.dumps(turns)], "[{broken"]
    rows = [
        generated(n, doc={"id": n}, arguments=[[prompt, {}]]) for n, prompt in enumerate(prompts)
    ]
    rows.append(generated(9, doc=None, arguments=None))
    found = read(samples(tmp_path, "task", rows))
    assert [row["question"] for row in found.rows] == [
        "second",
        "plain prompt",
        "second",
        "[{broken",
    ]
    assert found.reasons == ["missing_question"]


def test_dirty_rows_are_rejected_and_all_are_accounted_for(tmp_path: Path) -> None:
    rows = [
        generated(1),
        generated(1),
        "text",
        {"doc_id": 5},
        generated(2, doc_id=None, doc_hash=None),
        generated(3, doc_id=None),
        generated(4, filtered_resps=[10**400, 1], target=10**30),
        generated(5, doc={"question": {"text": "nested"}, "category": 3}, resps=None),
        generated(6, filtered_resps=["[invalid]"], resps=[[]]),
        generated(7, filter=3),
        generated(8, filtered_resps=[], resps=[], doc={"question": "lone \udfff"}),
    ]
    found = read(samples(tmp_path, "task", rows))
    assert found.reasons == [
        "duplicate_id",
        "not_an_object",
        "missing_metric",
        "missing_field",
        "unreadable_value",
    ]
    assert [row["example_id"] for row in found.rows] == ["1", "hash3", "5", "6", "7", "8"]
    assert found.rows[3]["prediction"] is None
    assert found.total == len(rows)


@pytest.mark.parametrize("form", [".json", ".jsonl.gz", "other name"])
def test_older_and_compressed_forms_are_read(tmp_path: Path, form: str) -> None:
    rows = [generated(1), generated(2)]
    folder = tmp_path / "org__model"
    folder.mkdir()
    path = folder / f"samples_task_{TIME}{form}"
    if form == ".json":
        path.write_text(json.dumps(rows, indent=2))
    elif form == ".jsonl.gz":
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    else:
        path = write_lines(folder / "task.jsonl", rows)
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.model) == ("task", "org/model")
    assert len(Read(submission).rows) == 2


@pytest.mark.parametrize(
    ("results", "model"),
    [
        ({"model_name": "org/True-Name", "model_name_sanitized": "x"}, "org/True-Name"),
        ({"model_name_sanitized": "org__name_"}, "org/name_"),
        ({"config": {"model_args": "dtype=auto,pretrained=org/x,revision=main"}}, "org/x"),
        ({"config": {"model_args": {"pretrained": "org/y"}}}, "org/y"),
        ({"model_name": None, "config": None}, "folder/name"),
        ([], "folder/name"),
    ],
)
def test_the_models_name_is_what_the_harness_recorded(
    tmp_path: Path, results: Any, model: str
) -> None:
    folder = tmp_path / "folder__name"
    samples(folder, "task", [generated(1)])
    (folder / f"results_{TIME}.json").write_text(json.dumps(results))
    (folder / "results_2020-01-01T00-00-00.json").write_text('{"model_name": "another run"}')
    assert [one.model for one in find_submissions(tmp_path)] == [model]
    assert find_submissions(tmp_path, options={"model": "mine"})[0].model == "mine"


def test_damaged_results_leave_the_folders_name(tmp_path: Path) -> None:
    samples(tmp_path / "org__m", "task", [generated(1)])
    (tmp_path / "org__m" / f"results_{TIME}.json").write_text("[" * 100_000)
    assert [one.model for one in find_submissions(tmp_path)] == ["org/m"]


def test_a_tree_gives_a_submission_for_each_model_and_task_from_the_newest_run(
    tmp_path: Path,
) -> None:
    old = samples(tmp_path / "a" / "org__x", "t_1", [generated(1)], "2024-12-31T10-00-00.5")
    new = samples(tmp_path / "a" / "org__x", "t_1", [generated(2)], "2025-01-01T09-00-00")
    samples(tmp_path / "a" / "org__x", "t_2", [generated(1)])
    samples(tmp_path / "b" / "org__y", "t_1", [generated(1)])
    found = find_submissions(tmp_path)
    assert [(one.benchmark, one.model) for one in found] == [
        ("t_1", "org/x"),
        ("t_1", "org/y"),
        ("t_2", "org/x"),
    ]
    assert found[0].files == (str(new),)
    assert found[0].options["superseded"] == [str(old)]


def test_two_files_of_the_same_run_are_an_error(tmp_path: Path) -> None:
    samples(tmp_path / "a" / "org__x", "t", [generated(1)])
    samples(tmp_path / "b" / "org__x", "t", [generated(1)])
    with pytest.raises(SourceError, match="keep one of them"):
        find_submissions(tmp_path)


def test_results_without_samples_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / f"results_{TIME}.json").write_text("{}")
    with pytest.raises(SourceError, match="--log_samples"):
        find_submissions(tmp_path)


def test_options_that_name_one_of_several_are_refused(tmp_path: Path) -> None:
    samples(tmp_path / "x", "t1", [generated(1)])
    samples(tmp_path / "y", "t2", [generated(1)])
    for option in ("model", "benchmark"):
        with pytest.raises(SourceError, match=f"option {option} names only one"):
            find_submissions(tmp_path, options={option: "z"})


@pytest.mark.parametrize("content", ["", "\n\n", "nonsense\n", '{"a": 1}\n'])
def test_a_samples_file_without_usable_rows_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / f"samples_task_{TIME}.jsonl"
    path.write_text(content)
    [submission] = find_submissions(path)
    with pytest.raises(SourceError, match=r"samples_task_.* none of its .* Expected"):
        Read(submission)


def test_texts_that_look_like_numbers_are_no_likelihoods() -> None:
    for texts in (["42"], ["1", "2"], [["1", "2"]], "x", [], [True, False], [["a", "True"]], None):
        assert log_likelihoods(texts) is None


def test_the_real_folder_reads_to_the_end() -> None:
    folder = Path(__file__).parents[4] / "shared" / "data" / "lm_eval"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    [submission] = find_submissions(folder)
    assert submission.benchmark == "math_perturbed_full"
    assert submission.model.startswith("RylanSchaeffer/mem_Qwen3-93M")
    found = Read(submission)
    assert (len(found.rows), found.total) == (10, 10)
    assert {row["metric"] for row in found.rows} == {"exact_match"}
