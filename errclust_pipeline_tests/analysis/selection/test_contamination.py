import numpy as np
import pytest

from errclust_pipeline.analysis.selection import Contamination, contaminated

LONG = "A train leaves the old station at noon and reaches the coast after five slow hours of rain"
QUESTIONS = ["What is 7 times 8?", LONG, "Which gas do plants take in?"]


def vectors(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 16))


def check(texts, embeddings=None, questions=QUESTIONS):
    own = vectors(len(texts), 1) if embeddings is None else embeddings
    return contaminated(texts, questions, own, vectors(len(questions)))


def test_the_same_words_are_refused_whatever_their_case_and_punctuation():
    assert check(["what is 7 TIMES 8", "What is 7 times 9?"]) == [Contamination.SAME_TEXT, None]


def test_thirteen_words_in_a_row_are_refused_and_twelve_are_not():
    words = LONG.split()
    shared = " ".join(["Someone said:", *words[:13], "and so on"])
    fewer = " ".join(["Someone said:", *words[:12], "and so on"])
    assert check([shared, fewer]) == [Contamination.SHARED_WORDS, None]


def test_what_many_questions_say_is_a_template_and_no_contamination():
    template = "Read the text below with care and then choose the one best answer about"
    questions = [f"{template} topic number {number}" for number in range(11)]
    assert check([f"{template} something new"], questions=questions) == [None]
    assert check([f"{template} something new"], questions=questions[:10]) == [
        Contamination.SHARED_WORDS
    ]


def test_nearly_equal_embeddings_are_refused_unless_the_numbers_differ():
    close = vectors(3)[[0, 0, 2]] + 0.01
    texts = ["How much is 7 multiplied by 8?", "How much is 7 multiplied by 9?", "What do they?"]
    assert check(texts, close) == [
        Contamination.NEARLY_EQUAL,
        None,
        Contamination.NEARLY_EQUAL,
    ]


def test_nothing_to_compare_refuses_nothing():
    assert contaminated([], QUESTIONS, np.empty((0, 0)), vectors(3)) == []
    assert contaminated(["a"], [], vectors(1), np.empty((0, 0))) == [None]


def test_texts_and_embeddings_must_be_as_many():
    with pytest.raises(ValueError, match="1 texts but 2"):
        contaminated(["a"], QUESTIONS, vectors(2), vectors(3))
