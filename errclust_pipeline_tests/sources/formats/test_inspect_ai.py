import json
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.formats import inspect_ai
from errclust_pipeline.sources.identity import question_id
from errclust_pipeline.sources.parsing import archive
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline_tests.conftest import REAL_DATA
from errclust_pipeline_tests.sources.reading import Read, result_or_refusal


def sample(number: int, epoch: int = 1, value: Any = "C", **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "epoch": epoch,
        "input": f"What is {number} + 1?",
        "target": str(number + 1),
        "messages": [{"role": "user", "content": f"What is {number} + 1?"}],
        "output": {
            "model": "m",
            "choices": [
                {
                    "message": {"role": "assistant", "content": f"It is {number + 1}."},
                    "stop_reason": "stop",
                }
            ],
            "completion": f"It is {number + 1}.",
        },
        "scores": {"match": {"value": value, "answer": str(number + 1)}},
        "metadata": {"category": "sums", "level": 2},
        "events": [],
        "attachments": {},
    } | changes


def header(status: str = "success", epochs: int = 1, **changes: Any) -> dict[str, Any]:
    run = {
        "created": "2026-03-01T10:00:00+00:00",
        "task": "pkg/sums",
        "task_args": {},
        "model": "openai/model-a",
        "config": {"epochs": epochs},
    }
    return {"version": 2, "status": status, "eval": run | changes, "plan": {}, "results": {}}


def write_json(path: Path, samples: list[Any], head: dict[str, Any] | None = None) -> Path:
    path.write_text(json.dumps({**(head or header()), "samples": samples, "reductions": []}))
    return path


def write_members(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    # Compressed as Inspect does it today.
    with archive.zipfile.ZipFile(path, "w", archive.zipfile.ZIP_ZSTANDARD) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def members_of(samples: list[Any], head: dict[str, Any] | None = None) -> list[tuple[str, bytes]]:
    return [
        ("_journal/start.json", json.dumps(head or header()).encode()),
        *(
            (f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one).encode())
            for one in samples
        ),
        ("_journal/summaries/1.json", b"[]"),
        ("summaries.json", b"[]"),
        ("header.json", json.dumps(head or header()).encode()),
    ]


def write_eval(path: Path, samples: list[Any], head: dict[str, Any] | None = None) -> Path:
    return write_members(path, members_of(samples, head))


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, reader="inspect", options=options)
    return Read(submission)


def values(found: Read, *columns: str) -> list[Any]:
    return [tuple(row[column] for column in columns) for row in found.rows]


def test_an_archive_and_a_json_log_give_the_same_rows(tmp_path: Path) -> None:
    samples = [sample(1), sample(2, value="I"), sample(3, value="P")]
    for path in (
        write_eval(tmp_path / "a.eval", samples),
        write_json(tmp_path / "a.json", samples),
    ):
        [submission] = find_submissions(path)
        assert submission.reader == "inspect"
        assert (submission.benchmark, submission.model) == ("pkg/sums", "openai/model-a")
        found = Read(submission, batch_rows=2)
        assert values(found, "example_id", "position", "score", "correct") == [
            ("1", 0, 1.0, True),
            ("2", 1, 0.0, False),
            ("3", 2, 0.5, True),
        ]
        expected = {
            "question": "What is 2 + 1?",
            "choices": None,
            "gold": "3",
            "prediction": "3",
            "response": "It is 3.",
            "subject": "sums",
            "metric": "match",
            "finish_reason": "stop",
            "metadata": '{"category": "sums", "level": 2}',
        }
        assert {name: found.rows[1][name] for name in expected} == expected


def test_names_with_slashes_and_colons_are_safe_keys() -> None:
    key = SubmissionPartition.of_names("inspect_evals/arc_easy", "hf/org/model:8b")
    assert (key.benchmark, key.model) == ("inspect_evals__arc_easy", "hf__org__model~3A8b")


def test_the_answers_to_choices_are_told_by_letter(tmp_path: Path) -> None:
    choices = ["red", "green", "blue", "C"]
    samples = [
        sample(1, choices=choices, target="B", scores={"choice": {"value": "C", "answer": "B"}}),
        sample(
            2, choices=choices, target=["A", "C"], scores={"choice": {"value": "I", "answer": "A"}}
        ),
        sample(3, choices=choices, target="blue", scores={"choice": {"value": "N", "answer": ""}}),
        sample(4, choices=choices, target="E", scores={"choice": {"value": "I"}}),
        sample(5, choices=choices, target="A", scores={"choice": {"value": "I", "answer": "A, B"}}),
    ]
    found = read(write_eval(tmp_path / "a.eval", samples))
    columns = ("gold", "gold_choice", "prediction", "predicted_choice", "extraction_recorded")
    assert values(found, *columns) == [
        ("green", 1, "green", 1, True),
        ("red; blue", None, "red", 0, True),
        ("blue", 2, None, None, True),
        ("E", None, None, None, False),
        ("red", 0, "red; green", None, True),
    ]
    assert found.rows[0]["question_id"] == question_id("What is 1 + 1?", choices)


def test_the_options_after_z_are_numbers(tmp_path: Path) -> None:
    choices = [f"option {number}" for number in range(30)]
    one = sample(1, choices=choices, target="2", scores={"choice": {"value": "I", "answer": "Z"}})
    [row] = read(write_eval(tmp_path / "a.eval", [one])).rows
    assert (row["gold_choice"], row["predicted_choice"]) == (27, 25)


def test_every_epoch_is_a_row_and_the_first_comes_first(tmp_path: Path) -> None:
    samples = [sample(n, epoch, "C" if epoch == 2 else "I") for epoch in (2, 1) for n in (7, 8)]
    found = read(write_eval(tmp_path / "a.eval", samples, header(epochs=2)))
    assert values(found, "example_id", "correct") == [
        ("7#1", False),
        ("8#1", False),
        ("7#2", True),
        ("8#2", True),
    ]
    assert len({row["question_id"] for row in found.rows}) == 2
    assert json.loads(found.rows[3]["metadata"])["epoch"] == 2


@pytest.mark.parametrize(
    ("scorer", "scores", "metric"),
    [
        (None, [1.0, 0.25], "first"),
        ("second", [0.0, 1.0], "second"),
        ("third/part", [0.5, 0.75], "third/part"),
    ],
)
def test_one_scorer_decides_for_all_samples(
    tmp_path: Path, scorer: str | None, scores: list[float], metric: str
) -> None:
    def scored(first: Any, second: Any, part: float) -> dict[str, Any]:
        return {
            "first": {"value": first},
            "second": {"value": second},
            "third": {"value": {"whole": 1, "part": part}},
        }

    samples = [
        sample(1, scores=scored("C", "no", 0.5)),
        # The order in one sample is not the order in another.
        sample(2, scores=dict(reversed(scored("0.25", True, 0.75).items()))),
    ]
    path = write_eval(tmp_path / "a.eval", samples)
    found = read(path, **({} if scorer is None else {"scorer": scorer}))
    assert values(found, "score", "metric") == [(score, metric) for score in scores]


def test_a_scorer_that_is_not_there_or_gives_several_values_is_met_with_the_choices(
    tmp_path: Path,
) -> None:
    both = {"a": {"value": {"x": 1, "y": 0}}, "b": {"value": "C"}}
    path = write_eval(tmp_path / "a.eval", [sample(1, scores=both)])
    for options, message in (
        ({}, r"--scorer\); there are: a/x, a/y"),
        ({"scorer": "a/z"}, r"there are: a/x, a/y"),
        ({"scorer": "c"}, r"scorer c gave no score; there are: a/x, a/y, b"),
        ({"scorer": "b/x"}, r"scorer b gave one value, and no x"),
    ):
        with pytest.raises(SourceError, match=message):
            read(path, **options)


def test_samples_that_cannot_be_used_are_rejected_with_the_reason(tmp_path: Path) -> None:
    samples = [
        sample(1),
        sample(2, scores=None),
        sample(3, scores=None, error={"message": "no network"}),
        sample(4, value=float("nan")),
        sample(5, value="good"),
        sample(6, value=7),
        sample(7, input=[{"role": "user", "content": [{"type": "image", "image": "x"}]}]),
        sample(8, invalidation={"author": "me"}),
        sample(9, id=None),
        sample(1),
        ["no object"],
    ]
    found = read(write_json(tmp_path / "a.json", samples))
    assert found.reasons == [
        "no_score",
        "sample_failed",
        "no_score",
        "score_without_number",
        "score_out_of_range",
        "missing_question",
        "invalidated",
        "missing_field",
        "duplicate_id",
        "not_an_object",
    ]
    assert "no network" in found.rejects[1]["detail"]
    assert found.total == len(samples)


def test_a_sample_that_failed_but_was_scored_counts(tmp_path: Path) -> None:
    found = read(write_eval(tmp_path / "a.eval", [sample(1, error={"message": "time"})]))
    assert len(found.rows) == 1


def test_attachments_and_lists_of_messages_become_text(tmp_path: Path) -> None:
    answer = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "attachment://r"},
        {"type": "image", "image": "data:"},
        {"type": "text", "text": "and more"},
    ]
    one = sample(
        1,
        input=[
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": "attachment://q"},
            {"role": "user", "content": [{"type": "text", "text": "attachment://gone"}]},
        ],
        output={"choices": [{"message": {"content": answer}, "stop_reason": "max_tokens"}]},
        attachments={"q": "a long question", "r": "a long answer"},
    )
    [row] = read(write_eval(tmp_path / "a.eval", [one])).rows
    assert row["question"] == "a long question\nattachment://gone"
    assert (row["response"], row["finish_reason"]) == ("a long answer\nand more", "max_tokens")


def test_a_model_stopped_while_it_was_thinking_has_its_thoughts_as_response(tmp_path: Path) -> None:
    content = [{"type": "reasoning", "reasoning": "let me see"}]
    one = sample(1, output={"choices": [{"message": {"content": content}}]})
    [row] = read(write_eval(tmp_path / "a.eval", [one])).rows
    assert row["response"] == "let me see"


def test_attachments_that_unfold_to_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_ai, "MAX_ROW_BYTES", 10_000)
    parts = [{"type": "text", "text": "attachment://a"}] * 20
    bomb = sample(2, input=[{"role": "user", "content": parts}], attachments={"a": "x" * 1_000})
    found = read(write_json(tmp_path / "a.json", [sample(1), bomb]))
    assert (len(found.rows), found.reasons) == (1, ["unreadable_value"])


def test_a_large_sample_in_pieces_is_put_together(tmp_path: Path) -> None:
    shell = sample(1, input="attachment://0", output={"completion": "attachment://3"})
    del shell["attachments"], shell["metadata"]
    members = [
        ("header.json", json.dumps(header()).encode()),
        ("samples/1_epoch_1/sample.json", json.dumps(shell).encode()),
        ("samples/1_epoch_1/messages/0.json", b"[]"),
        ("samples/1_epoch_1/metadata.json", b'{"topic": "sums"}'),
        ("samples/1_epoch_1/attachments/0.json", b'["the question", "x"]'),
        ("samples/1_epoch_1/attachments/2.json", b'["y", "the answer"]'),
        ("samples/2_epoch_1/sample.json", json.dumps(sample(2)).encode()),
        ("samples/2_epoch_1/attachments/0.json", b"{"),
    ]
    found = read(write_members(tmp_path / "a.eval", members))
    assert values(found, "question", "response", "subject") == [
        ("the question", "the answer", "sums")
    ]
    assert found.reasons == ["invalid_json"]


def test_an_unfinished_log_is_read_as_far_as_it_got(tmp_path: Path) -> None:
    members = [one for one in members_of([sample(1), sample(2)]) if one[0] != "header.json"]
    assert len(read(write_members(tmp_path / "a.eval", members)).rows) == 2


def test_where_there_are_only_summaries_they_are_read_without_responses(tmp_path: Path) -> None:
    summaries = [
        {name: sample(n)[name] for name in ("id", "epoch", "input", "target", "scores")}
        for n in (1, 2, 3)
    ]
    summaries[2]["input"] = "x" * 5120 + "...\n(content truncated)"
    members = [
        ("_journal/start.json", json.dumps(header("started")).encode()),
        ("_journal/summaries/10.json", json.dumps(summaries[1:]).encode()),
        ("_journal/summaries/2.json", json.dumps(summaries[:1]).encode()),
    ]
    found = read(write_members(tmp_path / "a.eval", members))
    assert values(found, "example_id", "response") == [("1", None), ("2", None)]
    assert found.reasons == ["question_cut"]


def test_the_newest_log_that_ended_well_is_the_submission(tmp_path: Path) -> None:
    times = {"a": "2026-01-01T00:00:00+00:00", "b": "2026-01-02T00:00:00+09:00"}
    for name, status in (("a", "success"), ("b", "success"), ("c", "error")):
        created = times.get(name, "2026-05-05T00:00:00+00:00")
        write_eval(tmp_path / f"{name}.eval", [sample(1)], header(status, created=created))
    write_eval(tmp_path / "d.eval", [sample(1)], header(model="other"))
    found = find_submissions(tmp_path)
    assert [one.model for one in found] == ["openai/model-a", "other"]
    assert Path(found[0].files[0]).name == "b.eval"
    assert [Path(one).name for one in found[0].options["superseded"]] == ["a.eval", "c.eval"]


def test_logs_of_other_task_arguments_are_not_taken_for_another_run(tmp_path: Path) -> None:
    for language in ("fr", "de"):
        head = header(task_args={"language": language})
        write_eval(tmp_path / f"{language}.eval", [sample(1)], head)
    found = find_submissions(tmp_path)
    assert {one.model: Path(one.files[0]).stem for one in found} == {
        "openai/model-a": "de",
        "openai/model-a@language-fr": "fr",
    }
    assert "is recorded as openai/model-a@language-fr" in found[1].notes[0]
    [one] = find_submissions(tmp_path / "fr.eval", options={"benchmark": "sums fr"})
    assert one.benchmark == "sums fr"


def test_one_name_for_several_models_or_tasks_is_an_error(tmp_path: Path) -> None:
    write_eval(tmp_path / "a.eval", [sample(1)])
    write_eval(tmp_path / "b.eval", [sample(1)], header(model="other", task="t"))
    for option in ("model", "benchmark"):
        with pytest.raises(SourceError, match=f"logs of 2 {option}s, and option {option}"):
            find_submissions(tmp_path, options={option: "x"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.eval", b"PK\x03\x04 no zip", "damaged"),
        ("a.eval", b"", "damaged"),
        ("a.json", b'{"version": 2, "status": "success", "eval": {"task": "t"', "breaks off"),
        ("a.json", b'{"version": 2, "status": "started", "eval": 3}', 'no object "eval"'),
        ("a.json", b'{"version": 2, "status": "started", "eval": {"task": "t"}}', "its model"),
        ("a.json", b'{"version": 2, "status": "started", "eval": {"model": "m"}}', "its task"),
    ],
)
def test_what_is_no_log_or_a_damaged_one_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as error:
        find_submissions(path)
    assert name in str(error.value)


def test_an_archive_without_a_header_or_with_a_broken_one_is_named(tmp_path: Path) -> None:
    for members, message in (
        ([("samples/1_epoch_1.json", b"{}")], "neither header.json nor"),
        ([("header.json", b"[")], "header.json in it is no object"),
        ([("../header.json", b"{}")], "do not trust this file"),
    ):
        with pytest.raises(SourceError, match=message):
            find_submissions(write_members(tmp_path / "a.eval", members))


def test_a_json_log_cut_short_keeps_the_samples_before_the_break(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [sample(n) for n in range(5)])
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b'"id": 3')])
    found = read(path)
    assert (len(found.rows), found.reasons) == (3, ["truncated_file"])


def test_a_damaged_sample_does_not_end_the_log(tmp_path: Path) -> None:
    members = members_of([sample(1), sample(2), sample(3)])
    path = tmp_path / "a.eval"
    with archive.zipfile.ZipFile(path, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"What is 2", b"What is 9"))
    found = read(path)
    assert values(found, "example_id") == [("1",), ("3",)]
    assert found.reasons == ["unreadable_sample"]


def test_other_json_files_are_not_taken_for_logs(tmp_path: Path) -> None:
    write_json(tmp_path / "log.json", [sample(1)])
    (tmp_path / "a.json").write_text("[1]")
    (tmp_path / "b.json").write_text('{"eval": 1}')
    (tmp_path / "c.json").write_bytes(b"\xff\xfe")
    assert [Path(one.files[0]).name for one in find_submissions(tmp_path)] == ["log.json"]


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([10**400, 1e300, float("nan"), float("inf")])
    | st.sampled_from(["", "C", "N", "B, A", "0.5", "²", "\ud800", "attachment://a"])
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "text", "message", "value", "answer", "a"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, good: Any, depth: int = 0) -> Any:
    """A value with something in it, at any depth, replaced or left out."""
    if depth and draw(st.integers(0, 5)) == 0:
        return draw(JUNK)
    if isinstance(good, dict) and good:
        key = draw(st.sampled_from(list(good)))
        if draw(st.integers(0, 3)) == 0:
            return {name: value for name, value in good.items() if name != key}
        return {**good, key: draw(mutated(good[key], depth + 1))}
    if isinstance(good, list) and good:
        return [draw(mutated(good[0], depth + 1)), *good[1:]]
    return draw(JUNK)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_log_ends_in_a_traceback(data: st.DataObject) -> None:
    good = sample(1, choices=["a", "b"], attachments={"a": "text"})
    samples = data.draw(st.lists(mutated(good) | JUNK, max_size=4))
    head = data.draw(st.just(header()) | mutated(header()))
    scorer = data.draw(st.sampled_from([None, "match", "match/a", "/", "none"]))
    options = {} if scorer is None else {"scorer": scorer}
    content = json.dumps({**head, "samples": samples}).encode()
    nested = b'{"samples": ' + b"[" * 100_000
    members = [
        ("header.json", json.dumps(head).encode()),
        *((f"samples/{n}_epoch_1.json", json.dumps(one).encode()) for n, one in enumerate(samples)),
        ("samples/x_epoch_99999999999999999999.json", nested),
    ]
    if data.draw(st.booleans()):
        members[-2] = (members[-2][0], members[-2][1][: data.draw(st.integers(0, 300))])
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "a.json")
        log.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.none())])
        zipped = write_members(Path(folder, "a.eval"), members)
        for path in (log, zipped):
            found = result_or_refusal(partial(read, path, **options))
            if isinstance(found, SourceError):
                assert str(path) in str(found)
            else:
                rows = len(samples) + (path is zipped)
                assert found.total == rows or "truncated_file" in found.reasons


def real_logs() -> Path:
    folder = REAL_DATA / "inspect"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


def test_the_real_logs_have_the_samples_that_an_independent_count_finds() -> None:
    expected = {}
    for path in sorted(real_logs().iterdir()):
        if path.suffix == ".eval":
            with archive.zipfile.ZipFile(path) as file:
                samples = [
                    json.loads(file.read(name))
                    for name in file.namelist()
                    if name.startswith("samples/")
                ]
        else:
            samples = json.loads(path.read_bytes())["samples"]
        scores = [one["scores"].get("choice", {}).get("value") for one in samples if one["scores"]]
        expected[path.name] = (
            len(scores),
            scores.count("I"),
            len(samples) - len(scores),
        )
    assert expected == {
        "data_arc_qwen.json": (3, 2, 0),
        "mmlu-summary-choices.eval": (1, 1, 0),
        "popularity.eval": (0, 0, 10),
    }
    found = {}
    for path in sorted(real_logs().iterdir()):
        log = result_or_refusal(partial(read, path))
        if isinstance(log, SourceError):
            assert "no_score 10x" in str(log)
            found[path.name] = (0, 0, 10)
            continue
        assert all(row["response"] and row["gold_choice"] is not None for row in log.rows)
        wrong = sum(not row["correct"] for row in log.rows)
        found[path.name] = (len(log.rows), wrong, len(log.rejects))
    assert found == expected


def test_two_runs_of_another_reasoning_effort_are_two_submissions(tmp_path: Path) -> None:
    for day, effort in ((1, "low"), (2, "high")):
        head = header(
            created=f"2026-01-0{day}T00:00:00+00:00",
            model_generate_config={"reasoning_effort": effort, "max_connections": day},
        )
        write_eval(tmp_path / f"{effort}.eval", [sample(1)], head)
    low, high = find_submissions(tmp_path)
    assert (low.model, low.conditions) == ("openai/model-a", {"reasoning_effort": "low"})
    assert (high.model, high.conditions["reasoning_effort"]) == (
        "openai/model-a@reasoning_effort-high",
        "high",
    )


def test_a_limited_run_does_not_replace_a_full_one(tmp_path: Path) -> None:
    write_eval(
        tmp_path / "full.eval", [sample(1), sample(2)], header(created="2026-01-01T00:00:00Z")
    )
    limited = header(created="2026-02-01T00:00:00Z", config={"epochs": 1, "limit": 1})
    write_eval(tmp_path / "limited.eval", [sample(1)], limited)
    [kept] = find_submissions(tmp_path)
    assert Path(kept.files[0]).name == "full.eval"
    assert "limited.eval is a run limited to 1 questions" in kept.notes[0]


def test_a_broken_log_does_not_block_the_others_of_a_folder(tmp_path: Path) -> None:
    write_eval(tmp_path / "good.eval", [sample(1)])
    (tmp_path / "broken.eval").write_bytes(b"no archive")
    [found] = find_submissions(tmp_path)
    assert "broken.eval" in found.notes[-1]
    assert found.notes[-1].endswith("left out")
    with pytest.raises(SourceError, match=r"broken\.eval"):
        find_submissions(tmp_path / "broken.eval")


def conversation(number: int, shots: int) -> list[dict[str, str]]:
    examples = [
        {"role": role, "content": f"{role} {shot}"}
        for shot in range(shots)
        for role in ("user", "assistant")
    ]
    asked = {"role": "user", "content": f"What is {number} + 1?"}
    return [{"role": "system", "content": "Be brief."}, *examples, asked]


def test_system_messages_and_worked_examples_are_no_part_of_the_question(tmp_path: Path) -> None:
    questions = []
    for shots in (0, 3):
        samples = [sample(n, input=conversation(n, shots)) for n in range(1, 7)]
        found = read(write_json(tmp_path / f"{shots}.json", samples))
        questions.append([(row["question"], row["question_id"]) for row in found.rows])
    assert questions[0] == questions[1]
    assert questions[0][0][0] == "What is 1 + 1?"


def test_worked_examples_in_a_text_are_no_part_of_the_question(tmp_path: Path) -> None:
    shots = "".join(f"Q: What is -{n}?\nA: {n}\n\n" for n in range(3))
    samples = [sample(n, input=f"{shots}Q: What is {n} + 1?\nA:") for n in range(1, 7)]
    found = read(write_json(tmp_path / "a.json", samples))
    assert [row["question"] for row in found.rows] == [f"Q: What is {n} + 1?" for n in range(1, 7)]


def test_turns_that_differ_stay_in_the_question(tmp_path: Path) -> None:
    samples = [
        sample(
            n,
            input=[
                {"role": "user", "content": f"I have {n} apples."},
                {"role": "assistant", "content": "Fine."},
                {"role": "user", "content": f"And {n} pears?"},
            ],
        )
        for n in range(1, 7)
    ]
    found = read(write_json(tmp_path / "a.json", samples))
    assert found.rows[0]["question"] == "I have 1 apples.\nAnd 1 pears?"


def test_every_scorer_is_named_where_one_has_to_be_chosen(tmp_path: Path) -> None:
    scores = {
        "rubric": {"value": {"style": 1, "facts": 0}},
        "match": {"value": "C"},
    }
    path = write_json(tmp_path / "a.json", [sample(1, scores=scores)])
    with pytest.raises(SourceError, match="there are: rubric/style, rubric/facts, match"):
        read(path)
    assert values(read(path, scorer="match"), "score") == [(1.0,)]
