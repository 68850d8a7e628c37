"""Summaries of a submission's responses, errors and embeddings, and of a benchmark's questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from errclust_pipeline.report.asset_summaries.summary import (
    TABLE,
    AssetSummary,
    by_number,
    counted,
    share_of,
)
from errclust_pipeline.report.markdown import Cell, Share, table

if TYPE_CHECKING:
    import pandas as pd


def summarize_responses(
    outcomes: Mapping[tuple[str | None, bool], int], rejects: int
) -> AssetSummary:
    """Summarize accuracy, overall and by subject; subjects with most errors come first.

    Parameters
    ----------
    outcomes : mapping from (subject, whether correct) to number of responses
    rejects : int
        Number of rows that could not be read.
    """
    total = sum(outcomes.values())
    correct = sum(number for (_, is_correct), number in outcomes.items() if is_correct)
    rows: list[list[Cell]] = [["all", total, total - correct, share_of(correct, total)]]
    if rejects:
        rows.append(["could not be read", rejects, None, Share(None)])
    subjects = {subject for subject, _ in outcomes if subject}
    wrong = {subject: outcomes.get((subject, False), 0) for subject in subjects}
    for subject, errors in by_number(wrong):
        responses = errors + outcomes.get((subject, True), 0)
        rows.append([subject, responses, errors, Share(1 - errors / responses)])
    return {TABLE: table(["subject", "responses", "errors", "accuracy"], rows)}


def summarize_errors(errors: pd.DataFrame) -> AssetSummary:
    """Summarize the failure forms and the subjects of errors.

    Parameters
    ----------
    errors : DataFrame
        Rows of the table `errors`.
    """
    rows: list[list[Cell]] = [
        [kind, name, number, Share(number / len(errors))]
        for kind, column in (("failure form", "failure_form"), ("subject", "subject"))
        for name, number in counted(errors[column])
    ]
    return {TABLE: table(["by", "value", "errors", "share"], rows)}


def summarize_embeddings(errors: int, metadata: Mapping[str, Any]) -> AssetSummary:
    """Summarize how many texts were embedded, and how many were known already.

    Parameters
    ----------
    errors : int
        Number of errors.
    metadata : mapping
        Counts of the embedding step: ``distinct_texts``, ``embedded_now`` and ``cut_by_the_model``.
    """
    distinct, new = metadata["distinct_texts"], metadata["embedded_now"]
    rows: list[list[Cell]] = [
        ["errors", errors, Share(None)],
        ["distinct texts", distinct, share_of(distinct, errors)],
        ["embedded before, for any model", distinct - new, share_of(distinct - new, distinct)],
        ["embedded now", new, share_of(new, distinct)],
        ["truncated by the embedding model", metadata["cut_by_the_model"], Share(None)],
    ]
    return {TABLE: table(["texts", "number", "share"], rows)}


def summarize_questions(questions: pd.DataFrame) -> AssetSummary:
    """Summarize how many questions each subject has.

    Parameters
    ----------
    questions : DataFrame
        Rows of the table `questions`.
    """
    rows: list[list[Cell]] = [["all", len(questions), Share(None)]]
    rows += [
        [subject, number, Share(number / len(questions))]
        for subject, number in counted(questions["subject"])
    ]
    return {TABLE: table(["subject", "questions", "share"], rows)}
