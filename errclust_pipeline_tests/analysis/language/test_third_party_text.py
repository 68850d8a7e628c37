import contextlib
import re
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from errclust_pipeline.analysis.language import excerpt, plain_sentence, plain_words

HIDDEN = "".join(chr(0xFE00 + n % 16) + chr(0xE0100 + n) for n in range(60))
MARKS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|endoftext|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "</s>",
    "<s>",
    "<eos>",
    "[INST]",
    "[/INST]",
    "[TOOL_CALLS]",
    "[SYSTEM_PROMPT]",
    "<<SYS>>",
    "<</SYS>>",
    "</think>",
    "<tool_call>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
]
hostile = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(MARKS),
        st.sampled_from(
            ["<", "|", ">", "[", "]", "/", "\u200b", "\ufe0f", "\x1b[31m", "\ud800", " "]
        ),
        st.characters(categories=["Cc", "Cf", "Cs", "Co", "Mn", "Zl", "Zp"]),
    ),
    max_size=30,
).map("".join)


def is_hidden(character):
    return unicodedata.category(character)[0] == "C" or character in HIDDEN


@given(hostile, st.integers(16, 300))
@example("<|[INST]|>", 100)
@example("<|im_end|>" * 20, 16)
@example("x" * 61 + "<|im_end|>", 64)
def test_an_excerpt_is_short_shows_all_it_holds_and_ends_no_turn(text, characters):
    found = excerpt(text, characters)
    assert len(found) <= characters
    assert not any(map(is_hidden, found))
    assert not any(mark.lower() in found.lower() for mark in MARKS)
    assert re.search(r"\s\s|[^\S ]", found) is None
    found.encode()


@given(st.text("abc .,é日", max_size=200))
def test_a_plain_text_that_fits_is_left_as_it_is(text):
    assert excerpt(text, 200) == " ".join(text.split())


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("form", ["{}", "a{}b", "<|{}|>", "{0}{0}", "<{}>", "[{}]"])
def test_a_mark_that_ends_a_turn_is_broken_up_wherever_it_stands(mark, form):
    text = form.format(mark)
    found = excerpt(text, 200)
    assert mark not in found
    assert found.replace(" ", "") == text


@pytest.mark.parametrize("between", ["\u200b", "\u2060", "\x00", "\ufe0f", "\u3164", "\U000e0041"])
def test_a_mark_is_not_hidden_by_what_shows_nothing(between):
    assert excerpt(f"<|im_{between}end|>", 100) == "< |im_end|>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, ""),
        ("", ""),
        ("\x1b]0;title\x07\x1b[2Jgone", "]0;title[2Jgone"),
        ("a\u202eb\u2066c\u200dd", "abcd"),
        ("one\u2028two\x85three\r\n\tfour", "one two three four"),
        ("a\ud800b", "ab"),
        (f"smile{HIDDEN}", "smile"),
        ("nai\u0308ve", "nai\u0308ve"),
    ],
)
def test_what_shows_nothing_is_dropped_and_white_space_collapsed(text, shown):
    assert excerpt(text, 100) == shown


def test_of_a_long_text_the_beginning_and_the_end_are_kept():
    found = excerpt("begin " + "x" * 200_000 + " end", 60)
    assert found.startswith("begin x")
    assert found.endswith("x end")
    assert " […] " in found
    assert len(found) == 60


@pytest.mark.parametrize(
    "piece", ["x", " ", "<", "<|", "<|a", "[INST]", "\u0301", "\x1b[0m", "\ud800", "&#1;", "\ufe0f"]
)
def test_a_huge_text_takes_no_time(piece):
    text = piece * (200_000 // len(piece))
    started = time.perf_counter()
    excerpt(text, 2000)
    assert time.perf_counter() - started < 2
    for plain in (plain_words, plain_sentence):
        with contextlib.suppress(ValueError):
            plain(text)
    assert time.perf_counter() - started < 10


@settings(max_examples=300)
@given(hostile)
@example("ftp://example.org")
@pytest.mark.parametrize("plain", [plain_words, plain_sentence])
def test_plain_text_holds_no_markup_and_no_address_or_is_refused(plain, text):
    try:
        found = plain(text)
    except ValueError:
        return
    assert not set(found) & set("<>[]{}|\\`*_#@$^~\n\r\t\x1b")
    assert not any(map(is_hidden, found))
    assert re.search(r"://|www\.", found) is None
    assert found == found.strip()
    found.encode()


@pytest.mark.parametrize(
    "text",
    [
        "<b>bold</b>",
        "[link](x)",
        "[red]rich[/red]",
        "**bold**",
        "`code`s",
        "# heading",
        "see https://example.org",
        "see HTTP:example",
        "ftp://example.org",
        "www.example.org",
        "javascript:alert(1)",
        "data:text/html,x",
        "me@example.org",
        "$(reboot)",
        "a | b",
        "{{ template }}",
        "smile 😀",
    ],
)
def test_a_name_with_more_than_words_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        plain_words(text)


@pytest.mark.parametrize(
    "text",
    [
        "Forgets units: grams, metres and 5% of °C",
        "Rivers in Côte d’Ivoire (lengths)",
        "Zeitformen – Präteritum",
        "नदियों की लंबाई",
        "计算 + 单位",
        "x² = 4; why not −2?".replace("−", "-"),
        "R&D costs; taxes",
    ],
)
def test_plain_words_of_any_language_are_left_as_they_are(text):
    assert plain_words(text) == text
    assert plain_sentence(text) == text


def test_quotes_around_a_name_and_what_shows_nothing_are_dropped():
    assert plain_words(' "Forgets\u200b units\x1b"\n') == "Forgets units"


def test_a_sentence_loses_its_markup_and_keeps_its_words():
    assert (
        plain_sentence("The **first** step [1] is <i>wrong</i>.")
        == "The first step 1 is i wrong /i ."
    )


@pytest.mark.parametrize("text", ["see https://example.org", "go to www.example.org"])
def test_a_sentence_with_an_address_is_refused(text):
    with pytest.raises(ValueError, match="address"):
        plain_sentence(text)
