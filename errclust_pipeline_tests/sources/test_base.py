import hashlib
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.sources.base import BatchBuilder, Submission
from errclust_pipeline.sources.identity import question_id
from errclust_pipeline.tables import REJECTS, RESPONSES

SUBMISSION = Submission("bench", "org/m", "table", ("file",), "revision")


def row(example_id: str = "1", **changes: Any) -> dict[str, Any]:
    return {"example_id": example_id, "question": "q", "score": 1, "metric": "acc"} | changes


def test_a_batch_has_the_tables_schemas_and_counts_every_row() -> None:
    builder = BatchBuilder(SUBMISSION)
    builder.add(row(), source="file", position=0)
    builder.add(row(), source="file", position=1)
    builder.skip()
    batch = builder.take()
    assert batch.responses.schema.equals(RESPONSES.schema)
    assert batch.rejects.schema.equals(REJECTS.schema)
    assert (batch.responses.num_rows, batch.rejects.num_rows, batch.skipped) == (1, 1, 1)
    empty = builder.take()
    assert (empty.responses.num_rows, empty.rejects.num_rows, empty.skipped) == (0, 0, 0)


def test_a_row_that_cannot_be_stored_is_rejected_and_the_others_are_kept() -> None:
    builder = BatchBuilder(SUBMISSION)
    builder.add(row("1", gold_choice=2**40), source="file", position=0)
    builder.add(row("2", subject=object()), source="file", position=1)
    builder.add(row("3", response="lone \ud800", choices=["\udc80"]), source="file", position=2)
    batch = builder.take()
    [kept] = batch.responses.to_pylist()
    assert (kept["example_id"], kept["response"], kept["choices"]) == (
        "3",
        "lone \ufffd",
        ["\ufffd"],
    )
    assert [one["reason"] for one in batch.rejects.to_pylist()] == ["unstorable_value"] * 2
    assert (builder.usable, builder.rejected) == (1, 2)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.1, 10**300, "1"])
def test_a_score_outside_0_to_1_is_rejected(score: Any) -> None:
    builder = BatchBuilder(SUBMISSION)
    builder.add(row(score=score), source="file", position=0)
    assert builder.reasons == {"score_out_of_range": 1}
    assert "score" in builder.first_reject


def test_a_question_is_the_same_whatever_its_white_space_and_unicode_form() -> None:
    assert question_id("Café  au\nlait?", ["a", "b"]) == question_id(
        "Cafe\u0301 au lait?", ["a ", "b"]
    )
    assert question_id("q", None) == question_id("q", [])


TEXTS = st.text(st.sampled_from("ab \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u00a0\u2003e\u0301\ud800"))


@given(question=TEXTS, choices=st.lists(TEXTS, max_size=3))
def test_a_questions_id_is_the_hash_of_its_normalised_parts(
    question: str, choices: list[str]
) -> None:
    parts = " \0 ".join([question, *choices])
    normalised = " ".join(unicodedata.normalize("NFC", parts).split())
    expected = hashlib.blake2b(normalised.encode("utf-8", "surrogatepass"), digest_size=16)
    assert question_id(question, choices) == expected.hexdigest()


def test_questions_that_differ_in_text_or_choices_differ() -> None:
    parts: list[tuple[str, list[str]]] = [
        ("q", []),
        ("q a", []),
        ("q", ["a"]),
        ("q", ["a", ""]),
        ("q", ["", "a"]),
        ("q", ["a b"]),
        ("q", ["a", "b"]),
        ("q \0 a", []),
        ("q \0 a", ["b"]),
        ("q \ud800", []),
    ]
    assert len({question_id(question, choices) for question, choices in parts}) == len(parts)
