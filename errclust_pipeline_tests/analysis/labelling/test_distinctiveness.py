import pytest

from errclust_pipeline.analysis.labelling import distinctiveness, is_nearly_the_same_name


def test_words_of_a_siblings_name_or_texts_do_not_tell_apart():
    own = {"mile": 0.9, "unit": 0.8, "road": 0.2}
    others = {"unit": 0.9, "road": 0.1}
    assert distinctiveness("Miles and units", [], own, others) == pytest.approx(1 / 2)
    assert distinctiveness("Miles on roads", ["Pounds on roads"], own, others) == pytest.approx(
        1 / 2
    )
    assert distinctiveness("Miles on roads", [], own, others) == 1.0


def test_a_word_that_stands_in_no_text_is_distinct_unless_a_sibling_has_it():
    assert distinctiveness("Conversion mistakes", [], {}, {}) == 1.0
    assert distinctiveness("Conversion mistakes", ["Conversion slips"], {}, {}) == 0.5


def test_a_name_without_content_is_not_distinct():
    assert distinctiveness("The following questions", [], {}, {}) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Unit conversion of miles", "Unit conversions of mile", True),
        ("Unit conversion of miles", "Unit conversion of pounds", False),
        ("the", "The", True),
        ("Bayes' theorem", "Conditional probability", False),
    ],
)
def test_names_that_differ_in_nothing_are_found(one, other, same):
    assert is_nearly_the_same_name(one, other) is same
