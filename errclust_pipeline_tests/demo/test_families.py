from __future__ import annotations

import pytest

from errclust_pipeline.demo.bugs import BUG_DESCRIPTIONS, NO_BUGS, Bug
from errclust_pipeline.demo.families import BENCHMARKS, KINDS, write_questions
from errclust_pipeline.demo.question import Question
from errclust_pipeline_tests.demo import solutions

QUESTIONS = [question for benchmark in BENCHMARKS for question in write_questions(benchmark)]


def of_kind(*kinds: str) -> list[Question]:
    return [question for question in QUESTIONS if question.kind in kinds]


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_gold_is_what_the_text_asks_for(kind: str) -> None:
    asked = of_kind(kind)
    assert asked
    for question in asked:
        assert question.gold == solutions.SOLUTIONS[kind](question.text), question.text


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_gold_holds_for_another_seed(kind: str) -> None:
    benchmark = next(entry.benchmark for entry in KINDS if entry.name == kind)
    for question in write_questions(benchmark, random_state=7):
        if question.kind == kind:
            assert question.gold == solutions.SOLUTIONS[kind](question.text), question.text


def test_enough_questions_families_and_kinds() -> None:
    assert len(QUESTIONS) >= 1500
    assert len({question.family for question in QUESTIONS}) >= 10
    assert len(KINDS) == len({kind.name for kind in KINDS})
    for kind in KINDS:
        assert len(of_kind(kind.name)) == kind.count


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_no_question_comes_twice(benchmark: str) -> None:
    texts = [" ".join(question.text.split()) for question in write_questions(benchmark)]
    assert len(set(texts)) == len(texts)


def test_questions_do_not_depend_on_anything_but_the_seed() -> None:
    for benchmark in BENCHMARKS:
        first = [question.text for question in write_questions(benchmark, random_state=3)]
        assert first == [question.text for question in write_questions(benchmark, random_state=3)]
        assert first != [question.text for question in write_questions(benchmark, random_state=4)]


def test_working_leads_to_the_answer_and_alternatives_are_wrong() -> None:
    for question in QUESTIONS:
        working = question.problem.solve(NO_BUGS)
        assert working.steps
        assert working.answer not in working.alternatives


def test_a_bug_changes_answers_only_where_it_is_documented() -> None:
    for question in QUESTIONS:
        for bug in Bug:
            if question.problem.solve(frozenset({bug})).answer != question.gold:
                assert question.kind in BUG_DESCRIPTIONS[bug].kinds
