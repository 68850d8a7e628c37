"""Style of responses, counted and compared."""

import numpy as np
import pytest

from errclust_pipeline.analysis.ratings import style_counts, style_differences


def test_words_lists_headers_and_bold_are_counted():
    response = (
        "# Title\n\nSome **bold** and __more__ words.\n"
        "- one\n* two\n  + three\n1. four\n2) five\n"
        "### Sub\nnot # a header, -no item, 2 ** 3\n"
    )
    words, lists, headers, bold = style_counts(response)
    assert words == len(response.split())
    assert (lists, headers, bold) == (5, 2, 2)


def test_markup_in_code_is_none():
    response = "```\n# comment\n- item\n**x**\n```\n# Title\n```python\n# never closed"
    assert style_counts(response)[1:] == (0, 1, 0)


def test_empty_and_hostile_texts_are_counted_in_no_time():
    assert style_counts("") == (0, 0, 0, 0)
    assert style_counts("*" * 50_000)[3] == 0
    assert style_counts("```" * 20_000)[1:] == (0, 0, 0)


def test_differences_are_antisymmetric_and_scaled():
    first = ["one two three", "- a\n- b", "same", "# T"]
    second = ["one", "a b", "same", "**x**"]
    differences = style_differences(first, second)
    assert differences.shape == (4, 4)
    assert differences == pytest.approx(-style_differences(second, first))
    assert (differences[2] == 0).all()
    assert differences.std(axis=0) == pytest.approx(1)
    # (3 - 1) / (3 + 1 + 1) against (4 - 2) / (4 + 2 + 1), of words.
    assert differences[0, 0] / differences[1, 0] == pytest.approx((2 / 5) / (2 / 7))


def test_what_never_differs_is_zero():
    assert (style_differences(["a", "b"], ["c", "d"]) == 0).all()
    assert style_differences([], []).shape == (0, 4)
    with pytest.raises(ValueError, match="1 responses of A and 0 of B"):
        style_differences(["a"], [])
    assert np.isfinite(style_differences(["", ""], ["x", ""])).all()
