"""A language model's endpoint that misbehaves, on real sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from email.utils import formatdate
from typing import Annotated

import pydantic
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from errclust_pipeline.analysis.language import AskFailure, FailureKind, Prompt, bounded
from errclust_pipeline.language_model import endpoint as endpoint_module
from errclust_pipeline.language_model.client import (
    LanguageModel,
    LanguageModelError,
    LanguageModelUnavailableError,
)
from errclust_pipeline.language_model.options import LanguageModelOptions
from errclust_pipeline.warehouse.storage import Storage

CHAT = "/v1/chat/completions"
KEY = "sk-very-secret"


class Answer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    word: str
    ids: list[str] = []

    @pydantic.field_validator("ids")
    @classmethod
    def _known(cls, value, information):
        if set(value) - set(information.context["ids"]):
            raise ValueError("must be known ids")
        return value


def prompt(number=0):
    return Prompt("Say the word.", {"number": number}, Answer, ("a", "b"), answer_tokens=20)


def completion(text, finish_reason="stop"):
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "test",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55},
    }


def good(word="yes"):
    return Response(json.dumps(completion(json.dumps({"word": word, "ids": []}))))


def refused(status, message="no", headers=None):
    return Response(json.dumps({"error": {"message": message}}), status, headers=headers)


@pytest.fixture(scope="module")
def one_server():
    with HTTPServer(threaded=True) as one:
        yield one


@pytest.fixture
def server(one_server):
    one_server.clear()
    return one_server


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(endpoint_module, "_FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def endpoint(server, tmp_path):
    """Make a model whose endpoint answers with a list of responses, or as a function says."""

    def make(responses, **settings):
        seen = []

        def answer(request):
            body = json.loads(request.get_data())
            seen.append(body)
            number = json.loads(body["messages"][1]["content"]).get("number")
            if callable(responses):
                return responses(number, body, len(seen))
            return responses[min(len(seen), len(responses)) - 1]

        server.expect_request(CHAT).respond_with_handler(answer)
        options = {"tries": 3, "seconds_to_answer": 5, "calls_at_once": 1, **settings}
        found = LanguageModelOptions(model="test", base_url=server.url_for("/v1"), **options)
        return LanguageModel(found, Storage(str(tmp_path / "root"))), seen

    return make


def words(answers):
    return [one.word if isinstance(one, Answer) else one.kind for one in answers]


def test_an_answer_is_validated_counted_and_stored(endpoint):
    model, seen = endpoint([good()])
    assert words(model.ask([prompt()])) == ["yes"]
    assert words(model.ask([prompt()])) == ["yes"]
    assert len(seen) == 1
    used = model.usage
    assert (used.prompts, used.calls, used.from_store) == (2, 1, 1)
    assert (used.prompt_tokens, used.answer_tokens) == (50, 5)
    assert seen[0]["response_format"]["json_schema"]["schema"]["required"] == ["word", "ids"]
    assert seen[0]["temperature"] == 0


def test_a_busy_endpoint_is_waited_for_as_it_asks(endpoint):
    model, seen = endpoint([refused(429, headers={"Retry-After": "1"}), good()])
    started = time.monotonic()
    assert words(model.ask([prompt()])) == ["yes"]
    assert 1 <= time.monotonic() - started < 3
    assert (len(seen), model.usage.retries) == (2, 1)


def test_a_busy_endpoint_may_name_the_moment_to_come_back(endpoint):
    headers = {"Retry-After": formatdate(time.time() + 2, usegmt=True)}
    model, _ = endpoint([refused(429, headers=headers), good()])
    started = time.monotonic()
    assert words(model.ask([prompt()])) == ["yes"]
    assert 0.8 <= time.monotonic() - started < 4


def test_an_endpoint_that_asks_for_a_very_long_wait_is_not_asked_again(endpoint):
    model, seen = endpoint([refused(429, "quota", headers={"Retry-After": "86400"})])
    with pytest.raises(LanguageModelUnavailableError, match=r"wait for 86,400 s"):
        model.ask([prompt()])
    # Once, and the greeting.
    assert len(seen) == 1 + 1


def test_an_endpoint_that_is_out_of_order_twice_is_asked_a_third_time(endpoint):
    model, seen = endpoint([refused(500), refused(503), good()])
    assert words(model.ask([prompt()])) == ["yes"]
    assert len(seen) == 3


def test_an_endpoint_that_hangs_is_left_after_a_time(endpoint):
    model, _ = endpoint(lambda *_: time.sleep(2) or good(), tries=2, seconds_to_answer=0.3)
    started = time.monotonic()
    with pytest.raises(LanguageModelUnavailableError, match=r"tried up to 2 times: no answer"):
        model.ask([prompt()])
    assert time.monotonic() - started < 3


def test_an_answer_that_trickles_for_ever_is_left_too(endpoint):
    def trickle():
        for _ in range(100):
            time.sleep(0.05)
            yield b" "

    model, _ = endpoint(lambda *_: Response(trickle()), tries=1, seconds_to_answer=0.5)
    started = time.monotonic()
    with pytest.raises(LanguageModelUnavailableError):
        model.ask([prompt()])
    assert time.monotonic() - started < 3


def test_a_limit_named_in_a_complaint_about_length_is_no_reason_to_drop_it(endpoint):
    told = "'max_tokens' is too large: 500. This model's maximum context length is 400 tokens"
    model, seen = endpoint(lambda number, *_: refused(400, told) if number == 0 else good())
    assert words(model.ask([prompt(0), prompt(1)])) == ["too_long", "yes"]
    assert [set(one) for one in seen] == [set(seen[0])] * 2


def test_a_prompt_over_the_models_context_fails_alone_and_is_not_tried_again(endpoint):
    def answer(number, *_):
        if number == 1:
            return refused(400, "This model's maximum context length is 100 tokens")
        return good()

    model, seen = endpoint(answer)
    assert words(model.ask([prompt(0), prompt(1), prompt(2)])) == ["yes", "too_long", "yes"]
    assert len(seen) == 3


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_what_the_endpoint_refuses_is_not_tried_again(endpoint, status):
    model, seen = endpoint([refused(status, "content policy")])
    assert words(model.ask([prompt()])) == ["refused"]
    assert len(seen) == 1


def test_a_wrong_key_is_an_error_that_names_its_variable_and_not_the_key(endpoint):
    model, _ = endpoint([refused(401, f"Incorrect API key provided: {KEY}")])
    with pytest.raises(LanguageModelError, match="refuses the key: set OPENAI_API_KEY") as error:
        model.ask([prompt()])
    assert KEY not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("status", [400, 429, 500])
def test_no_message_repeats_the_key(endpoint, status, tmp_path):
    model, _ = endpoint([good(), refused(status, f"{KEY} is over its limit")], tries=1)
    first, second = model.ask([prompt(0), prompt(1)])
    assert words([first]) == ["yes"]
    assert "is over its limit" in second.reason
    assert KEY not in second.reason
    assert not any(KEY in path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_nor_does_that_of_a_key_that_cannot_be_sent(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very\nsecret")
    model, _ = endpoint([good()])
    with pytest.raises(LanguageModelUnavailableError, match="Illegal header") as error:
        model.ask([prompt()])
    assert "secret" not in "".join(traceback.format_exception(error.value))


def test_a_key_that_has_worked_is_not_blamed_for_one_text_that_is_refused(endpoint):
    model, _ = endpoint(lambda number, *_: refused(403, "blocked") if number == 1 else good())
    assert words(model.ask([prompt(n) for n in range(3)])) == ["yes", "refused", "yes"]


def test_nor_if_that_text_is_the_first(endpoint):
    model, seen = endpoint(lambda number, *_: refused(403, "blocked") if number == 0 else good())
    assert words(model.ask([prompt(0), prompt(1)])) == ["refused", "yes"]
    assert len(seen) == 3


def test_a_key_that_nothing_is_answered_to_is_blamed(endpoint):
    model, seen = endpoint([refused(403, f"{KEY} may not")])
    with pytest.raises(LanguageModelError, match="refuses the key") as error:
        model.ask([prompt(n) for n in range(9)])
    assert len(seen) == 2
    assert KEY not in "".join(traceback.format_exception(error.value))


def test_terminal_escapes_in_a_message_are_dropped(endpoint):
    model, _ = endpoint([refused(400, "no\x1b[31m\u202e way")])
    assert model.ask([prompt()])[0].reason == "Error code: 400 - no[31m way"


def test_an_unknown_model_is_an_error_that_says_so(endpoint):
    model, _ = endpoint([refused(404, "no such model")])
    with pytest.raises(LanguageModelError, match="does not know model 'test'"):
        model.ask([prompt()])


def test_a_page_instead_of_an_answer_is_an_error_about_the_url(endpoint):
    model, _ = endpoint([Response("<html>It works!</html>", content_type="text/html")])
    with pytest.raises(LanguageModelError, match="is base_url right"):
        model.ask([prompt()])


def test_a_malformed_answer_late_in_a_long_run_fails_alone(endpoint):
    def answer(number, *_):
        return Response(json.dumps(completion("no JSON"))) if number == 17 else good()

    model, seen = endpoint(answer)
    answers = model.ask([prompt(n) for n in range(20)])
    assert words(answers) == ["yes"] * 17 + ["invalid"] + ["yes"] * 2
    assert "Invalid JSON" in answers[17].reason
    assert len(seen) == 21


@pytest.mark.parametrize(
    "body",
    [
        '{"id": "1", "cho',
        '{"choices": []}',
        '{"choices": [{}]}',
        '{"choices": [{"message": null}]}',
        '{"choices": [{"message": {"content": [{"type": "text"}]}}]}',
        '{"error": {"message": "upstream"}}',
        "null",
        "<html>",
    ],
)
def test_what_is_no_completion_at_all_late_in_a_run_is_tried_again_and_fails_alone(endpoint, body):
    def answer(number, _body, calls):
        is_bad = number == 2 or (number == 1 and calls == 2)
        return Response(body, content_type="application/json") if is_bad else good()

    model, seen = endpoint(answer)
    answers = model.ask([prompt(n) for n in range(4)])
    assert words(answers) == ["yes", "yes", "unreachable", "yes"]
    assert len(seen) == 1 + 2 + 3 + 1


@pytest.mark.parametrize(
    "text", ["\ud800", '{"word": "\ud800"}', '{"word": "\\ud800"}', "[" * 99999]
)
def test_an_answer_that_no_file_or_request_can_hold_harms_no_other(endpoint, text):
    def answer(number, *_):
        return Response(json.dumps(completion(text))) if number == 1 else good()

    model, _ = endpoint(answer)
    for _ in range(2):
        answers = words(model.ask([prompt(n) for n in range(3)]))
        assert answers[::2] == ["yes", "yes"]
        assert answers[1] in ("invalid", "?")


def test_a_body_that_cannot_be_parsed_fails_alone(endpoint):
    deep = Response("[" * 99_999, content_type="application/json")
    model, _ = endpoint(lambda number, *_: deep if number == 1 else good(), tries=1)
    assert words(model.ask([prompt(n) for n in range(3)])) == ["yes", "unreachable", "yes"]


def test_one_text_that_is_never_answered_does_not_look_like_an_endpoint_that_is_away(endpoint):
    """Not even where nothing else is left to ask, as in the run after the first."""
    model, seen = endpoint(lambda number, *_: refused(500) if number == 0 else good(), tries=2)
    assert words(model.ask([prompt(0)])) == ["unreachable"]
    assert len(seen) == 2 + 1


def test_nor_do_three_in_a_row(endpoint):
    def answer(number, *_):
        return refused(500) if number is not None and number < 7 else good()

    model, seen = endpoint(answer, tries=1)
    answers = model.ask([prompt(n) for n in range(9)])
    assert words(answers) == ["unreachable"] * 7 + ["yes"] * 2
    assert len(seen) == 9 + 2


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ('{"word": "y', "cut off"),
        ('{"word": "yes"', "Invalid JSON"),
        ('{"name": "yes"}', "word: Field required"),
        ('{"word": "yes", "ids": ["c"]}', "must be known ids"),
        ("", "Invalid JSON"),
        ("[]", "should be an object"),
    ],
    ids=["cut off", "not closed", "wrong schema", "wrong ids", "empty", "list"],
)
def test_an_invalid_answer_is_sent_back_once_with_what_is_wrong(endpoint, bad, complaint):
    reason = "length" if complaint == "cut off" else "stop"
    model, seen = endpoint([Response(json.dumps(completion(bad, reason))), good()])
    assert words(model.ask([prompt()])) == ["yes"]
    assert complaint in seen[1]["messages"][-1]["content"]
    assert model.usage.repaired == 1


def test_an_answer_that_stays_invalid_is_a_failure_and_paid_for_only_once(endpoint):
    model, seen = endpoint([Response(json.dumps(completion('{"word": 1}')))])
    for _ in range(2):
        (failure,) = model.ask([prompt()])
        assert isinstance(failure, AskFailure)
        assert failure.kind is FailureKind.INVALID
        assert "word" in failure.reason
    assert len(seen) == 2
    assert model.usage.failures == {"invalid": 2}


def test_an_answer_that_could_not_be_repaired_for_want_of_money_is_repaired_later(endpoint):
    def answer(_number, body, _calls):
        is_repair = len(body["messages"]) > 2
        return good() if is_repair else Response(json.dumps(completion("no JSON")))

    model, seen = endpoint(answer, most_calls=1)
    assert words(model.ask([prompt()])) == ["over_budget"]
    assert len(seen) == 1
    again, _ = endpoint(answer)
    assert words(again.ask([prompt()])) == ["yes"]
    assert again.usage.calls == 1
    assert again.totals()["prompt_tokens"] == 100
    once_more, _ = endpoint(answer)
    assert words(once_more.ask([prompt()])) == ["yes"]
    assert (once_more.usage.calls, once_more.usage.from_store) == (0, 1)


def test_what_stands_there_twice_is_paid_for_once(endpoint):
    model, seen = endpoint(lambda *_: time.sleep(0.05) or good(), calls_at_once=4)
    assert words(model.ask([prompt(0), prompt(0), prompt(1), prompt(0)])) == ["yes"] * 4
    assert len(seen) == 2
    assert str(model.quote([prompt(2), prompt(2)])).startswith("1 calls")


def test_what_is_being_answered_when_an_error_ends_the_run_is_kept(endpoint):
    def answer(number, *_):
        if number == 0:
            return refused(401)
        time.sleep(0.3)
        return good()

    model, seen = endpoint(answer, calls_at_once=3)
    with pytest.raises(LanguageModelError):
        model.ask([prompt(n) for n in range(9)])
    assert len(seen) == 3
    assert words(model.ask([prompt(1), prompt(2)])) == ["yes", "yes"]
    assert len(seen) == 3


def test_json_in_a_code_fence_is_read(endpoint):
    model, _ = endpoint([Response(json.dumps(completion('```json\n{"word": "yes"}\n```')))])
    assert words(model.ask([prompt()])) == ["yes"]


def test_an_endpoint_that_knows_no_schema_or_other_names_is_asked_without(endpoint):
    def answer(_number, body, _calls):
        if "max_tokens" in body:
            return refused(400, "Unsupported parameter: 'max_tokens'")
        if "temperature" in body:
            return refused(400, "Unsupported value: temperature")
        if "response_format" in body:
            return refused(400, "response_format is not supported")
        return good()

    model, seen = endpoint(answer)
    assert words(model.ask([prompt(0), prompt(1)])) == ["yes", "yes"]
    # What it found out is remembered.
    assert len(seen) == 1 + 1 + 3 + 1 + 1
    assert seen[-1]["max_completion_tokens"] == 20


class BoundedAnswer(Answer):
    word: Annotated[str, bounded(10)]


def test_bounds_are_dropped_before_the_schema_is(endpoint):
    def answer(_number, body, _calls):
        word = body["response_format"]["json_schema"]["schema"]["properties"]["word"]
        return refused(400, "schema: unknown keyword") if "maxLength" in word else good()

    model, seen = endpoint(answer)
    asked = Prompt("Say the word.", {"number": 0}, BoundedAnswer, ("a",))
    assert words(model.ask([asked])) == ["yes"]
    assert len(seen) == 2


def test_calls_at_once_that_are_refused_for_the_same_reason_drop_it_once(endpoint):
    def answer(_number, body, _calls):
        time.sleep(0.05)
        is_schema = body["response_format"]["type"] == "json_schema"
        return refused(400, "response_format: json_schema is unknown") if is_schema else good()

    model, seen = endpoint(answer, calls_at_once=4)
    assert words(model.ask([prompt(n) for n in range(8)])) == ["yes"] * 8
    assert {one["response_format"]["type"] for one in seen[8:]} == {"json_object"}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"most_calls": 2}, "budget of 2 calls"),
        ({"most_tokens": 500}, "budget of 500 tokens"),
        (
            {"most_cost": 0.0005, "price_of_prompt": 1.0, "price_of_answer": 1.0},
            "budget of 0.0005 in money",
        ),
    ],
    ids=["calls", "tokens", "money"],
)
def test_a_budget_stops_cleanly_and_keeps_what_is_done(endpoint, limits, reason):
    model, seen = endpoint([good()], **limits)
    answers = model.ask([prompt(n) for n in range(10)])
    done = sum(isinstance(one, Answer) for one in answers)
    assert 1 <= done == len(seen) < 10
    failed = answers[done:]
    assert all(one.kind is FailureKind.OVER_BUDGET and reason in one.reason for one in failed)
    again = model.ask([prompt(n) for n in range(done)])
    assert words(again) == ["yes"] * done


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "5", "completion_tokens": -1}])
def test_the_budget_holds_for_an_endpoint_that_does_not_count(endpoint, usage):
    body = json.dumps({**completion('{"word": "yes"}'), "usage": usage})
    model, seen = endpoint([Response(body)], most_tokens=2000)
    answers = model.ask([prompt(n) for n in range(30)])
    assert 2000 // 250 < len(seen) < 2000 // 150
    assert answers[-1].kind is FailureKind.OVER_BUDGET
    assert model.usage.estimated == len(seen)


def test_calls_at_once_do_not_exceed_a_budget_together(endpoint):
    model, seen = endpoint(lambda *_: time.sleep(0.05) or good(), calls_at_once=4, most_calls=6)
    model.ask([prompt(n) for n in range(12)])
    assert len(seen) == 6


def test_no_more_calls_at_once_than_are_set(endpoint):
    now, most, lock = [0], [0], threading.Lock()

    def answer(*_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return good()

    model, _ = endpoint(answer, calls_at_once=3)
    started = time.monotonic()
    assert words(model.ask([prompt(n) for n in range(12)])) == ["yes"] * 12
    assert most[0] == 3
    assert time.monotonic() - started < 12 * 0.05 + 1


def test_an_endpoint_that_is_not_there_is_given_up_soon(tmp_path):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    settings = LanguageModelOptions(
        model="test", base_url=f"http://127.0.0.1:{port}/v1", tries=2, calls_at_once=1
    )
    model = LanguageModel(settings, Storage(str(tmp_path)))
    with pytest.raises(LanguageModelUnavailableError, match="does not answer"):
        model.ask([prompt(n) for n in range(100)])
    # And a greeting, to make sure that it is not for the texts.
    assert model.usage.calls == 3 + 1


def test_stored_answers_between_do_not_hide_that_an_endpoint_is_gone(endpoint):
    model, seen = endpoint(lambda number, *_: good() if number % 2 else refused(500), tries=1)
    model.ask([prompt(n) for n in range(1, 20, 2)])
    with pytest.raises(LanguageModelUnavailableError, match="3 prompts in a row"):
        model.ask([prompt(n) for n in range(20)])
    assert len(seen) == 10 + 3 + 1


def test_a_stored_answer_that_cannot_be_read_is_asked_for_again(endpoint, tmp_path):
    model, seen = endpoint([good()])
    model.ask([prompt()])
    (path,) = tmp_path.rglob("*.json")
    for content in (b"", b"{", b"[]", b"\xff", b'{"text": "x", "more": 1}'):
        path.write_bytes(content)
        again = LanguageModel(model.options, Storage(str(tmp_path / "root")))
        assert words(again.ask([prompt()])) == ["yes"]
    assert len(seen) == 6


def test_a_quote_counts_what_is_not_stored_and_asks_nothing(endpoint):
    model, seen = endpoint([good()], price_of_prompt=10.0, price_of_answer=20.0)
    model.ask([prompt(0)])
    quote = model.quote([prompt(n) for n in range(5)])
    assert len(seen) == 1
    assert (quote.prompts, quote.from_store) == (5, 1)
    assert quote.answer_tokens == 4 * 20
    assert quote.prompt_tokens >= 4 * 50
    assert quote.cost == pytest.approx((quote.prompt_tokens * 10 + 80 * 20) / 1e6)
    assert "4 calls" in str(quote)


def test_the_key_is_written_nowhere(endpoint, tmp_path):
    model, _ = endpoint([good()])
    model.ask([prompt()])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(KEY in path.read_text() for path in files)


ASK_MANY = """
import sys
from errclust_pipeline_tests.language_model.test_client import prompt
from errclust_pipeline.language_model.client import LanguageModel
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.language_model.options import LanguageModelOptions

settings = LanguageModelOptions(model="test", base_url=sys.argv[1], calls_at_once=1)
model = LanguageModel(settings, Storage(sys.argv[2]))
answers = model.ask([prompt(n) for n in range(20)])
print(model.usage.from_store, model.usage.calls)
"""


def test_a_run_that_is_killed_keeps_what_was_paid_for(server, tmp_path):
    answered, slow = [], threading.Event()
    slow.set()

    def answer(_request):
        if slow.is_set() and len(answered) == 8:
            time.sleep(20)
        answered.append(1)
        return good()

    server.expect_request(CHAT).respond_with_handler(answer)
    command = [sys.executable, "-c", ASK_MANY, server.url_for("/v1"), str(tmp_path / "root")]
    process = subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE)
    end = time.monotonic() + 60
    while len(answered) < 8 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    slow.clear()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["8", "12"]
