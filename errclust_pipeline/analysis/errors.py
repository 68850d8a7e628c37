"""What an error is made of: how the response fails on its face, and the text that stands for it.

The form of a failure is read off the response by rules and says nothing about its cause. It takes
the first of these that applies:

1. ``wrong_answer``: the source has no text, e.g. because the options were scored by their
   log-likelihoods; ``no_answer`` if it says that no answer was extracted.
2. ``empty``: the response is blank.
3. ``repetition``: the response ends in a loop (`ends_in_loop`), whether or not an answer was found
   on the way.
4. ``refusal``: the response opens by declining, and no answer was extracted from it. "I cannot"
   further on, in the middle of a solution, is no refusal.
5. ``truncated``: generation stopped at the length limit; or the source names no reason, no answer
   was extracted, and a response of some length breaks off in mid-sentence.
6. ``no_answer``: nothing was extracted, or the source guessed.
7. ``wrong_answer``: all else.

A source that does not record which answers it extracted, such as a table without predictions, says
nothing by having none: there an error that does not show one of the other forms is a wrong answer.

A base model that has answered often goes on to invent the next question of its few-shot prompt.
What follows the first such heading is not part of the response and is not looked at: running on is
neither repetition nor truncation.
"""

from __future__ import annotations

import hashlib
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

ErrorText = Literal["question", "question_and_answer", "response"]
"""What is embedded of an error; `error_text` has the templates."""

DEFAULT_TEXT: ErrorText = "question"
"""Measured by `benchmarks/embedded_text.py`: clusters of it agree best with the known bugs of the
demo's models, and with the sources of real questions as well as those of any other text. It is also
the only text that is the same for all models, so that it is embedded once. The choices belong to
it: many questions ("Which of these is true?") say nothing without, and on all of MMLU-Pro they
raise the agreement with the sources from .52 to .55."""

RESPONSE_TAIL_CHARACTERS = 500

_OPENING_CHARACTERS = 300
_LOOP_CHARACTERS = 3000
_LOOP_PROBE_CHARACTERS = 24
_LOOP_COPIES = 3
_SHORTEST_LOOP_CHARACTERS = 100
_COMPRESSED_CHARACTERS = 2000
_PREDICTABLE_CHARACTERS = 300
_PREDICTABLE_BYTES = 20
_FEWEST_CHARACTERS_CUT_OFF = 80
_QUESTION_CHARACTERS = 800
_ANSWER_CHARACTERS = 200
_RESPONSE_CHARACTERS = 1000

_LENGTH_REASONS = frozenset({"length", "max_tokens", "model_length", "max_length"})
_SENTENCE_ENDS = frozenset(".!?:;…。！？)]}>\"'`”’»*_|$%")

_RUN_ON = r"\n[\s#*>]*(?:Question|Q|Problem|Exercise|User|Human)(?: \d+)?[*\s]*[:.]"
_REFUSAL = (
    r"(?i)^\W*(?:[^.!?\n]{0,80}?[\W_])?(?:i|we)(?:"
    r"(?: simply| really)? (?:can(?:no|['’])t|can not|won['’]t|will not|must not)"
    r"(?: be able to| in good conscience)?"
    r"|(?: am|['’]m| are|['’]re)(?: simply| really)?"
    r" (?:unable to|not (?:able|willing|allowed|permitted|comfortable|going)(?: to| with)?)"
    r") (?:help|assist|provid|answer|fulfil|comply|discuss|giv|advis|offer|shar|recommend|support"
    r"|engag|do (?:that|this)|tell you|explain how|respond|continue with|complete this request)"
    r"|^\W*(?:[^.!?\n]{0,80}?[\W_])?(?:i|we)(?:"
    r" (?:must|have to|need to)(?: respectfully)? (?:decline|refuse)| (?:decline|refuse) to"
    r"|['’]d (?:rather|prefer) not|['’]d prefer to not)"
)


@cache
def _pattern(pattern: str) -> Any:
    """Compile a pattern for matching in linear time, whatever the text."""
    import re2

    return re2.compile(pattern)


def text_id(text: str) -> str:
    """Return the hash that a text is known by: 32 hex digits of BLAKE2b."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def failure_forms(responses: pd.DataFrame) -> pd.Series[str]:
    """Say of each wrong response how it fails on its face.

    Takes about 20 microseconds a response; none is looked at beyond its first and last few
    thousand characters, but for the search of where it runs on, and all matching is linear in the
    text's length.

    Parameters
    ----------
    responses : DataFrame
        Rows of the table `responses` that are wrong; the columns used are ``response``,
        ``prediction``, ``prediction_guessed``, ``extraction_recorded`` (true if missing),
        ``finish_reason`` and ``choice_log_likelihoods``, any of them null or missing.

    Returns
    -------
    Series of str
        One of `vocabulary.FAILURE_FORMS` for each row, with the same index.
    """
    import pandas as pd

    rows = zip(
        _objects(responses, "response"),
        _objects(responses, "prediction"),
        _objects(responses, "prediction_guessed"),
        _objects(responses, "extraction_recorded"),
        _objects(responses, "finish_reason"),
        _objects(responses, "choice_log_likelihoods"),
        strict=True,
    )
    forms = [_failure_form(*row) for row in rows]
    return pd.Series(forms, index=responses.index, dtype="str", name="failure_form")


def _failure_form(
    response: str | None,
    prediction: str | None,
    guessed: bool | None,
    extraction_recorded: bool | None,
    finish_reason: str | None,
    log_likelihoods: object,
) -> str:
    is_recorded = extraction_recorded is None or extraction_recorded
    if response is None:
        unanswered = is_recorded and prediction is None and log_likelihoods is None
        return "no_answer" if unanswered else "wrong_answer"
    own = own_part(response)
    if not own:
        return "empty"
    if ends_in_loop(own):
        return "repetition"
    # Some tasks have no filter and hand the whole response over as the prediction.
    extracted = prediction is not None and not guessed and prediction.strip() != response.strip()
    if not extracted and is_refusal(own):
        return "refusal"
    runs_on = len(own) < len(response.strip())
    if not runs_on and finish_reason is not None and finish_reason.lower() in _LENGTH_REASONS:
        return "truncated"
    if not is_recorded:
        return "wrong_answer"
    answered = prediction is not None and not guessed
    if not answered:
        cut_off = finish_reason is None and not runs_on and breaks_off(own)
        return "truncated" if cut_off else "no_answer"
    return "wrong_answer"


def own_part(response: str) -> str:
    """Return a response up to where the model starts another question, without outer blanks."""
    text = _encodable(response).strip()
    if "\n" not in text:
        return text
    run_on = _pattern(_RUN_ON).search(text)
    return text[: run_on.start()].rstrip() if run_on else text


def is_refusal(text: str) -> bool:
    """Tell whether a text declines in its first sentence or two."""
    opening = text[:_OPENING_CHARACTERS]
    sentences = opening.replace("\n", ". ").replace("! ", ". ").split(". ")
    return any(_pattern(_REFUSAL).search(sentence) for sentence in sentences[:2])


def ends_in_loop(text: str) -> bool:
    """Tell whether a text ends by repeating itself.

    It does if it ends in three copies of something, 100 characters or more together, the last one
    whole or cut. It also does if it breaks off, and its last 300 characters add less than 20 bytes
    to what the 1,700 before them compress to: that finds loops that count or vary a little.
    (Ordinary working adds 100 bytes and more.) A text that loops and then comes to an end does not.
    """
    tail = text[-_LOOP_CHARACTERS:]
    return _ends_in_copies(tail) or (breaks_off(tail) and _ends_predictably(tail))


def _ends_in_copies(tail: str) -> bool:
    if len(tail) < _SHORTEST_LOOP_CHARACTERS:
        return False
    probe = tail[-_LOOP_PROBE_CHARACTERS:]
    earlier = tail.rfind(probe, 0, len(tail) - 1)
    if earlier < 0:
        return False
    period = len(tail) - len(probe) - earlier
    copies = max(_LOOP_COPIES, -(-_SHORTEST_LOOP_CHARACTERS // period))
    length = period * copies
    return length <= len(tail) and tail[-length:-period] == tail[period - length :]


def _ends_predictably(tail: str) -> bool:
    if len(tail) < 2 * _PREDICTABLE_CHARACTERS:
        return False
    before = tail[-_COMPRESSED_CHARACTERS:-_PREDICTABLE_CHARACTERS].encode()
    end = tail[-_PREDICTABLE_CHARACTERS:].encode()
    added = len(zlib.compress(before + end)) - len(zlib.compress(before))
    return added < _PREDICTABLE_BYTES


def breaks_off(text: str) -> bool:
    """Tell whether a text of some length ends in mid-sentence."""
    return len(text) >= _FEWEST_CHARACTERS_CUT_OFF and text[-1] not in _SENTENCE_ENDS


def error_text(errors: pd.DataFrame, what: ErrorText = DEFAULT_TEXT) -> pd.Series[str]:
    """Write the text of each error that is embedded.

    * ``question``: the question, then each of its choices, if it has any, on a line of its own.
    * ``question_and_answer``: the question's first 800 characters, then the lines
      "Right answer: …" and "Answer given: …", 200 characters each ("none" if null).
    * ``response``: the last 1,000 characters of the response, up to where the model starts another
      question; "No text, answer given: …" where there is none.

    Parameters
    ----------
    errors : DataFrame
        With the columns ``question``, ``choices``, ``gold``, ``prediction`` and ``response``.
    what : "question", "question_and_answer" or "response"

    Returns
    -------
    Series of str, with the same index

    Raises
    ------
    ValueError
        If ``what`` is none of the three.
    """
    import pandas as pd

    questions = _objects(errors, "question")
    predictions = _objects(errors, "prediction")
    if what == "question":
        texts = [
            "\n".join([question, *(choices if choices is not None else ())])
            for question, choices in zip(questions, _objects(errors, "choices"), strict=True)
        ]
    elif what == "question_and_answer":
        texts = [
            f"{(question or '')[:_QUESTION_CHARACTERS]}\n"
            f"Right answer: {_short(gold)}\nAnswer given: {_short(prediction)}"
            for question, gold, prediction in zip(
                questions, _objects(errors, "gold"), predictions, strict=True
            )
        ]
    elif what == "response":
        texts = [
            own_part(response or "")[-_RESPONSE_CHARACTERS:]
            or f"No text, answer given: {_short(prediction)}"
            for response, prediction in zip(_objects(errors, "response"), predictions, strict=True)
        ]
    else:
        raise ValueError(f"what must be question, question_and_answer or response, got {what!r}")
    return pd.Series(texts, index=errors.index, dtype="str", name="text")


def error_table(responses: pd.DataFrame, what: ErrorText = DEFAULT_TEXT) -> pd.DataFrame:
    """Pick the errors out of the responses.

    Parameters
    ----------
    responses : DataFrame
        Rows of the table `responses`.
    what : "question", "question_and_answer" or "response"
        The text that is embedded.

    Returns
    -------
    DataFrame
        With the columns of the table `errors`, one row for each wrong response, ordered by
        ``example_id``. ``response_tail`` is the response's last 500 characters.
    """
    import pandas as pd

    wrong = responses[~responses["correct"].astype(bool)]
    wrong = wrong.sort_values("example_id", kind="stable", ignore_index=True)
    texts = error_text(wrong, what)
    tails = [
        None if response is None else response[-RESPONSE_TAIL_CHARACTERS:]
        for response in _objects(wrong, "response")
    ]
    columns = {
        "example_id": wrong["example_id"].astype("str"),
        "question_id": wrong["question_id"].astype("str"),
        "subject": wrong["subject"],
        "failure_form": failure_forms(wrong),
        "question": wrong["question"].astype("str"),
        "gold": wrong["gold"],
        "prediction": wrong["prediction"],
        "response_tail": pd.Series(tails, index=wrong.index, dtype="str"),
        "score": wrong["score"].astype("float64"),
        "text": texts,
        "text_id": pd.Series([text_id(text) for text in texts], index=wrong.index, dtype="str"),
    }
    return pd.DataFrame(columns)


def _objects(frame: pd.DataFrame, column: str) -> list[Any]:
    """Return a column's values with None for whatever pandas takes for null, or as many None."""
    if column not in frame:
        return [None] * len(frame)
    values = frame[column]
    return [
        None if null else value
        for value, null in zip(values.tolist(), values.isna().tolist(), strict=True)
    ]


def _short(answer: str | None) -> str:
    return "none" if answer is None else str(answer)[:_ANSWER_CHARACTERS]


def _encodable(text: str) -> str:
    """Replace lone surrogates, which no encoder accepts."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
