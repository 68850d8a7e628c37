from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.analysis.errors import (
    DEFAULT_TEXT,
    ends_in_loop,
    error_table,
    error_text,
    failure_forms,
    is_refusal,
    own_part,
    text_id,
)
from errclust_pipeline.tables import ERRORS
from errclust_pipeline.vocabulary import FAILURE_FORMS

WORKING = (
    "The train leaves at ten and arrives at noon, so it travels for two hours. At sixty miles an "
    "hour it covers one hundred and twenty miles. "
)


def form_of(
    response: str | None,
    prediction: str | None = None,
    guessed: bool | None = None,
    finish_reason: str | None = None,
    log_likelihoods: list[float] | None = None,
    extraction_recorded: bool | None = None,
) -> str:
    frame = pd.DataFrame(
        {
            "response": pd.Series([response], dtype="str"),
            "prediction": pd.Series([prediction], dtype="str"),
            "prediction_guessed": pd.Series([guessed], dtype="object"),
            "extraction_recorded": pd.Series([extraction_recorded], dtype="object"),
            "finish_reason": pd.Series([finish_reason], dtype="str"),
            "choice_log_likelihoods": pd.Series([log_likelihoods], dtype="object"),
        }
    )
    return failure_forms(frame).item()


def test_an_answer_that_is_given_is_a_wrong_answer() -> None:
    assert form_of(WORKING + "The answer is (B).", "B") == "wrong_answer"


def test_options_scored_by_log_likelihood_give_a_wrong_answer() -> None:
    assert form_of(None, "B") == "wrong_answer"
    assert form_of(None, None, log_likelihoods=[-1.0, -2.0]) == "wrong_answer"


def test_where_extraction_is_not_recorded_nothing_follows_from_its_lack() -> None:
    unanswered = WORKING + "so that it covers one hundred and"
    assert form_of(unanswered) == "truncated"
    assert form_of(unanswered, extraction_recorded=False) == "wrong_answer"
    assert form_of(unanswered, finish_reason="length", extraction_recorded=False) == "truncated"
    assert form_of("I cannot help with that.", extraction_recorded=False) == "refusal"
    assert form_of("", extraction_recorded=False) == "empty"


def test_where_there_is_no_text_only_a_recorded_lack_of_an_answer_counts() -> None:
    assert form_of(None, extraction_recorded=False) == "wrong_answer"
    assert form_of(None, extraction_recorded=True) == "no_answer"


@pytest.mark.parametrize("response", ["", " \n\t "])
def test_a_blank_response_is_empty(response: str | None) -> None:
    assert form_of(response) == "empty"


@pytest.mark.parametrize(
    "ending",
    [
        "The pressure is inversely proportional to the volume. " * 4,
        "The pressure is inversely proportional to the volume. " * 4 + "The pressure is",
        "1, " * 60,
        "6" * 200,
        "\n" + "| 3 | 4 | 12 |\n" * 30,
        " ".join(f"The closest is {n} pi = 0.19. However, this is no option." for n in range(60))
        + " The closest",
    ],
)
def test_a_response_that_ends_in_a_loop_is_a_repetition(ending: str) -> None:
    assert form_of(WORKING + ending, None) == "repetition"


def test_a_loop_is_a_repetition_even_if_an_answer_was_found_on_the_way() -> None:
    assert form_of(WORKING + "The answer is (C). " * 20, "C") == "repetition"


@pytest.mark.parametrize(
    "ending",
    [
        "No, no, no.",
        "x = 1: 2 + 1 = 3\nx = 2: 4 + 1 = 5\nx = 3: 6 + 1 = 7\nThe answer is 7.",
        "The pressure is inversely proportional to the volume. " * 8 + "The answer is (C).",
    ],
)
def test_ordinary_working_and_a_loop_that_was_left_are_no_repetition(ending: str) -> None:
    assert form_of(WORKING + ending, "C") == "wrong_answer"


@pytest.mark.parametrize(
    "response",
    [
        "I'm sorry, but I can't help with that request.",
        "I’m sorry, but I can’t assist with opening locks.",
        "As an AI language model, I cannot provide medical advice.",
        "I cannot give medical advice, and that includes doses. Please consult a professional.",
        "I'm not able to assist with dosing. For your safety, please speak to your doctor.",
        "I am unable to answer this question.",
        "Thank you for asking. I must respectfully decline.",
        "**I won't discuss this.**",
    ],
)
def test_declining_at_the_start_is_a_refusal(response: str) -> None:
    assert form_of(response) == "refusal"
    assert form_of(response, "A", guessed=True) == "refusal"
    assert form_of(response, response) == "refusal", "a prediction that is the whole response"


@pytest.mark.parametrize(
    "response",
    [
        WORKING + "We cannot give an exact value. I cannot help noticing the units differ.",
        "The box cannot hold more than ten apples, so two are left.",
        "This cannot be determined from the data.",
        "I can help with that! There are two.",
        "The doctor said that he cannot provide the drug.",
    ],
)
def test_cannot_inside_a_solution_is_no_refusal(response: str) -> None:
    assert form_of(response) == "no_answer"


def test_a_refusal_with_an_answer_is_a_wrong_answer() -> None:
    assert form_of("I can't give medical advice, but it is 5 mg.", "5") == "wrong_answer"


@pytest.mark.parametrize("reason", ["length", "max_tokens", "LENGTH"])
def test_stopping_at_the_length_limit_is_truncated(reason: str) -> None:
    assert form_of(WORKING, "10", finish_reason=reason) == "truncated"


def test_breaking_off_without_an_answer_is_truncated_unless_the_source_says_it_stopped() -> None:
    cut = WORKING + "Dividing the distance by the"
    assert form_of(cut) == "truncated"
    assert form_of(cut, "B", guessed=True) == "truncated"
    assert form_of(cut, finish_reason="stop") == "no_answer"
    assert form_of("Paris") == "no_answer", "a short answer without a full stop is not cut"


def test_a_complete_response_without_an_answer_is_no_answer() -> None:
    assert form_of(WORKING + "None of the options fits.") == "no_answer"
    assert form_of(WORKING + "None of the options fits.", "A", guessed=True) == "no_answer"


def test_going_on_with_the_next_few_shot_question_is_not_part_of_the_response() -> None:
    answered = "It is four. The answer is (D)."
    run_on = (
        answered + "\n\nQuestion: How many?\nAnswer: Three.\n\nQuestion: How many?\nAnswer:" * 9
    )
    assert own_part(run_on) == answered
    assert form_of(run_on, "D", finish_reason="length") == "wrong_answer"
    assert form_of(WORKING + "We do not know\n\nQuestion: And then?") == "no_answer"
    assert own_part("Question: what?\nWe reason.") == "Question: what?\nWe reason."


@given(st.text(max_size=300), st.none() | st.text(max_size=5), st.none() | st.booleans())
def test_every_response_has_one_of_the_known_forms(
    response: str, prediction: str | None, guessed: bool | None
) -> None:
    assert form_of(response, prediction, guessed) in FAILURE_FORMS


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "I " * 400_000, "\n" * 500_000 + "Q", "'" * 10**6]
)
def test_hostile_responses_are_read_in_linear_time(text: str) -> None:
    started = time.perf_counter()
    form_of(text)
    is_refusal(text)
    assert time.perf_counter() - started < 1


def test_nine_thousand_long_responses_take_about_a_second() -> None:
    frame = pd.DataFrame({"response": [f"{n} {WORKING * 30}" for n in range(9000)]})
    started = time.perf_counter()
    assert set(failure_forms(frame)) == {"repetition"}
    assert time.perf_counter() - started < 3


def test_an_empty_text_does_not_end_in_a_loop() -> None:
    assert not ends_in_loop("")


def responses(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "example_id": ["b", "a", "c"],
            "question_id": ["qb", "qa", "qc"],
            "subject": ["history", None, "law"],
            "choices": [np.array(["Ada", "Bob"]), None, None],
            "question": ["Who?", "When?", "Why?"],
            "gold": ["Ada", "1815", "law"],
            "response": ["Bob." + "x" * 600 + ".", None, "law"],
            "prediction": ["Bob", "1816", "law"],
            "prediction_guessed": [False, None, False],
            "finish_reason": [None, None, None],
            "choice_log_likelihoods": [None, [-1.0], None],
            "score": [0.0, 0.0, 1.0],
            "correct": [False, False, True],
        }
        | columns
    )


def test_the_error_table_has_the_wrong_rows_in_order_and_fits_its_schema() -> None:
    table = error_table(responses())
    assert table["example_id"].tolist() == ["a", "b"]
    assert table["response_tail"].isna().tolist() == [True, False]
    assert len(table["response_tail"][1]) == 500
    assert table["text"].tolist() == ["When?", "Who?\nAda\nBob"]
    rows = pa.Table.from_pandas(table, schema=ERRORS.schema, preserve_index=False)
    assert rows.schema.names == table.columns.tolist()


def test_no_errors_make_an_empty_table_that_fits_its_schema() -> None:
    table = error_table(responses(correct=[True] * 3))
    assert pa.Table.from_pandas(table, schema=ERRORS.schema, preserve_index=False).num_rows == 0


def test_the_templates_of_the_embedded_text() -> None:
    errors = responses()
    assert error_text(errors).tolist() == error_text(errors, DEFAULT_TEXT).tolist()
    assert error_text(errors, "question").tolist() == ["Who?\nAda\nBob", "When?", "Why?"]
    assert error_text(errors, "question_and_answer")[0] == (
        "Who?\nRight answer: Ada\nAnswer given: Bob"
    )
    written = error_text(errors, "response")
    assert written[0] == errors["response"][0]
    assert written[1] == "No text, answer given: 1816"


def test_an_unknown_text_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="got 'answer'"):
        error_text(responses(), "answer")  # type: ignore[arg-type]


def test_a_text_id_is_the_hash_of_the_text() -> None:
    assert text_id("é") == hashlib.blake2b("é".encode(), digest_size=16).hexdigest()
    assert len(text_id("")) == 32
    assert text_id("a") != text_id("a ")
