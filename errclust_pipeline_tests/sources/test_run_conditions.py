"""Runs of one model under several conditions: which count, and what they are called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.sources.base import Submission
from errclust_pipeline.sources.run_conditions import (
    RunCandidate,
    difference_label,
    name_beside_recorded,
    settle_runs,
)

CONDITIONS = st.dictionaries(
    st.sampled_from(["shots", "chat_template", "effort", "limit"]),
    st.sampled_from(["0", "5", "yes", "no", "high"]),
)


def run(file: str, time: int, model: str = "org/m", finished: bool = True, **conditions: str):
    submission = Submission("b", model, "r", (file,), "v", {}, conditions)
    return RunCandidate(submission, time, finished)


def test_the_oldest_run_keeps_the_name_and_others_are_called_after_what_differs() -> None:
    plain, five = settle_runs(
        [
            run("new", 2, shots="5", chat_template="yes"),
            run("old", 1, shots="0", chat_template="no"),
        ]
    )
    assert (plain.model, plain.files) == ("org/m", ("old",))
    assert (five.model, five.files) == ("org/m@chat_template+5-shot", ("new",))
    assert "under other conditions" in five.notes[0]
    assert plain.notes == ()


def test_of_runs_under_the_same_conditions_the_newest_counts_and_the_others_are_named() -> None:
    [kept] = settle_runs([run("old", 1, shots="5"), run("new", 2, shots="5")])
    assert (kept.files, kept.options["superseded"]) == (("new",), ["old"])
    assert kept.notes == (
        "old is an older run of the same conditions of org/m on b: left out for new",
    )


def test_a_limited_run_never_replaces_a_larger_one() -> None:
    [kept] = settle_runs([run("full", 1), run("three", 2, limit="3"), run("two", 3, limit="2")])
    assert kept.files == ("full",)
    assert "limited to 3 questions" in kept.notes[0]
    [kept] = settle_runs([run("three", 1, limit="3"), run("two", 2, limit="2")])
    assert kept.files == ("three",)


def test_a_run_that_ended_well_is_preferred() -> None:
    [kept] = settle_runs([run("done", 1), run("broken", 2, finished=False)])
    assert kept.files == ("done",)
    assert "did not end well" in kept.notes[0]


def test_a_copy_of_a_run_blocks_nothing() -> None:
    kept, other = settle_runs([run("a", 1), run("b", 1), run("c", 1, model="org/n")])
    assert (kept.files, other.files) == (("a",), ("c",))
    assert "another run of the same time" in kept.notes[0]


def test_a_run_that_was_recorded_keeps_its_name_when_an_older_one_is_found() -> None:
    low, high = run("low", 1, effort="low"), run("high", 2, effort="high")
    [recorded] = settle_runs([high])
    named = name_beside_recorded(
        settle_runs([low, high]),
        lambda _, model: recorded if model == recorded.model else None,
    )
    assert {one.files: one.model for one in named} == {
        ("low",): "org/m@effort-low",
        ("high",): "org/m",
    }


def test_a_limited_run_found_later_leaves_the_recorded_one() -> None:
    [recorded] = settle_runs([run("full", 1)])
    [limited] = settle_runs([run("three", 2, limit="3")])
    [kept] = name_beside_recorded([limited], lambda *_: recorded)
    assert kept == recorded
    assert "three is a run limited to 3 questions" in kept.notes[0]
    [replaced] = name_beside_recorded([recorded], lambda *_: limited)
    assert replaced == recorded


def test_a_model_with_an_at_in_its_name_is_left_alone() -> None:
    found = settle_runs([run("a", 1, model="vertex/c@2024"), run("b", 1, model="vertex/c")])
    named = name_beside_recorded(found, lambda *_: None)
    assert [one.model for one in named] == ["vertex/c", "vertex/c@2024"]


def test_a_long_difference_is_cut_and_stays_unlike_others() -> None:
    labels = {
        difference_label({"arguments": "x" * 200 + end}, {"arguments": "y"}) for end in ("1", "2")
    }
    assert len(labels) == 2
    assert all(len(label) <= 80 for label in labels)


@given(st.lists(CONDITIONS, min_size=1, max_size=6))
def test_every_set_of_conditions_is_one_submission_of_its_own_name(
    conditions: list[dict[str, str]],
) -> None:
    candidates = [
        RunCandidate(Submission("b", "m", "r", (f"f{number}",), "v", {}, given_), number)
        for number, given_ in enumerate(conditions)
    ]
    settled = settle_runs(candidates)
    distinct = {
        tuple(sorted((name, value) for name, value in one.items() if name != "limit"))
        for one in conditions
    }
    assert len(settled) == len({submission.model for submission in settled}) == len(distinct)
    files = [file for one in settled for file in (*one.files, *one.options.get("superseded", ()))]
    assert sorted(files) == sorted(f"f{number}" for number in range(len(conditions)))


def test_a_record_keeps_conditions_and_older_records_are_read() -> None:
    submission = Submission("b", "m", "r", ("f",), "v", {}, {"shots": "5"}, ("a note",))
    assert Submission.from_json(submission.to_json()) == submission
    older = Submission("b", "m", "r", ("f",), "v")
    assert "conditions" not in older.to_json()
    assert Submission.from_json(older.to_json()) == older
