"""Scale, direction, threshold and null verdicts, of every reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.scoring import Scoring, parse_scale
from errclust_pipeline_tests.sources.formats import test_inspect_ai
from errclust_pipeline_tests.sources.reading import Read, write_lines


def table(folder: Path, scores: list[Any]) -> Path:
    rows = [
        {"input_text": f"q{number}", "model": "m", "score": score}
        for number, score in enumerate(scores)
    ]
    return write_lines(folder / "t.jsonl", rows)


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, options=options)
    return Read(submission)


def test_a_scale_makes_shares_of_scores(tmp_path: Path) -> None:
    path = table(tmp_path, [1, 3, 5, 4.5])
    found = read(path, scale=[1, 5])
    assert [row["score"] for row in found.rows] == [0.0, 0.5, 1.0, 0.875]
    assert [row["correct"] for row in found.rows] == [False, True, True, True]
    strict = read(path, scale=[1, 5], threshold=0.8)
    assert [row["correct"] for row in strict.rows] == [False, False, True, True]


def test_lower_is_better_turns_scores_round(tmp_path: Path) -> None:
    found = read(table(tmp_path, [0, 0.25, 1]), higher_is_better=False)
    assert [row["score"] for row in found.rows] == [1.0, 0.75, 0.0]
    found = read(table(tmp_path, [0, 5, 10]), higher_is_better=False, scale=[0, 10])
    assert [row["score"] for row in found.rows] == [1.0, 0.5, 0.0]


def test_a_null_verdict_is_no_answer_and_wrong_or_left_out(tmp_path: Path) -> None:
    path = table(tmp_path, [1, None, 1])
    found = read(path, scale=[0, 1], higher_is_better=False, null_scores="wrong")
    assert [row["score"] for row in found.rows] == [0.0, 0.0, 0.0]
    left = read(path, null_scores="leave_out")
    assert ([row["score"] for row in left.rows], left.skipped) == ([1.0, 1.0], 1)


def test_a_file_without_any_verdict_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none of its 2 usable rows has a score"):
        read(table(tmp_path, [None, None]))


def test_scores_beyond_the_scale_are_an_error_that_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a number from 0 to 1: state the scale"):
        read(table(tmp_path, [2] * 20 + [1]))


def test_letters_of_inspect_are_verdicts_on_any_scale(tmp_path: Path) -> None:
    samples = [test_inspect_ai.sample(number) for number in range(3)]
    for sample, value in zip(samples, ("C", "P", 7), strict=True):
        for score in sample["scores"].values():
            score["value"] = value
    path = test_inspect_ai.write_json(tmp_path / "log.json", samples)
    assert [row["score"] for row in read(path, scale=[0, 10]).rows] == [1.0, 0.5, 0.7]
    turned = read(path, scale=[0, 10], higher_is_better=False)
    assert [row["score"] for row in turned.rows] == pytest.approx([1.0, 0.5, 0.3])


@pytest.mark.parametrize(
    "options",
    [
        {"scale": [1, 1]},
        {"scale": [2, 1]},
        {"scale": "0-10"},
        {"scale": "a:b"},
        {"scale": [0, float("inf")]},
        {"scale": [0, float("nan")]},
        {"scale": [False, True]},
        {"threshold": 0},
        {"threshold": True},
        {"threshold": 1.5},
        {"higher_is_better": "yes"},
        {"null_scores": "skip"},
    ],
)
def test_options_that_cannot_be_used_are_named(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match=f"option {next(iter(options))}"):
        read(table(tmp_path, [1]), **options)


def test_a_scale_is_written_as_low_and_high() -> None:
    assert parse_scale("0:10") == [0.0, 10.0]
    assert parse_scale("-1:1") == [-1.0, 1.0]


@given(
    st.floats(-1e6, 1e6),
    st.floats(0.001, 1e6),
    st.booleans(),
    st.lists(st.floats(-2e6, 2e6) | st.none(), min_size=1),
)
def test_many_scores_are_read_as_one_by_one(
    low: float, width: float, higher: bool, scores: list[float | None]
) -> None:
    scoring = Scoring(low, low + width, higher)
    one_by_one = [scoring.share(score) for score in scores]
    at_once = scoring.shares(pa.array(scores, pa.float64()))
    if None in one_by_one:
        assert at_once is None
    else:
        assert at_once is not None
        assert at_once.to_pylist() == one_by_one
        assert all(0.0 <= share <= 1.0 for share in one_by_one if share is not None)


def test_a_record_keeps_how_scores_are_read(tmp_path: Path) -> None:
    [submission] = find_submissions(
        table(tmp_path, [1]), options={"scale": [0, 10], "higher_is_better": False}
    )
    assert json.loads(submission.to_json())["options"]["scale"] == [0, 10]
