import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.analysis.language import excerpt
from errclust_pipeline.analysis.plain_text import shortened_line, visible_line
from errclust_pipeline.cli import console
from errclust_pipeline.training import export

hostile = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.characters(categories=["Cc", "Cf", "Cs", "Co", "Mn", "Zl", "Zp"]),
        st.sampled_from(["\x1b[31m", "\ufe0f", "\u3164", "\U000e0041", "\u202e", "\u2028", "`"]),
    ),
    max_size=20,
).map("".join)


@given(hostile)
def test_a_line_holds_only_what_shows_and_single_spaces(text):
    line = visible_line(text)
    assert not any(unicodedata.category(character)[0] == "C" for character in line)
    assert not re.search("[\ufe00-\ufe0f\u3164\U000e0100-\U000e01ef]", line)
    assert re.search(r"\s\s|[^\S ]|^\s|\s$", line) is None
    assert visible_line(line) == line


@given(hostile)
def test_all_places_that_show_a_text_show_the_same(text):
    line = visible_line(text)
    assert console.plain(text).plain == line
    assert export._as_code(text) == f"`{line.replace('`', chr(39))}`"
    # A prompt breaks up marks that end a chat turn; nothing else differs.
    if "<" not in line and "[" not in line:
        assert excerpt(text, 10_000) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Thumbs up \U0001f44d\ufe0f!", "Thumbs up \U0001f44d!"),
        ("\x1b]0;title\x07\x1b[2Jgone", "]0;title[2Jgone"),
        ("one\u2028two\x85three\r\n\tfour", "one two three four"),
        ("nai\u0308ve 日本", "nai\u0308ve 日本"),
    ],
)
def test_lines_of_known_texts(text, shown):
    assert visible_line(text) == shown


@given(hostile, st.integers(1, 30))
def test_a_line_that_is_too_long_is_cut_and_says_so(text, longest):
    line = shortened_line(text, longest)
    assert len(line) <= longest
    assert line == visible_line(text) or line.endswith("…")
