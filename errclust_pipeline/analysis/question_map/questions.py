"""The union of the questions that the models of a benchmark were asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from errclust_pipeline.analysis.errors import error_text, text_id

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("question_id", "subject", "question", "choices", "gold", "text", "text_id")
_ORDER = ["question_id", "text_id", "subject", "gold"]


def questions_of(responses: pd.DataFrame) -> pd.DataFrame:
    """Return the distinct questions of one submission.

    Parameters
    ----------
    responses : DataFrame
        Rows of the table `responses`; the columns used are ``question_id``, ``subject``,
        ``question``, ``choices`` and ``gold``.

    Returns
    -------
    DataFrame
        With the columns of the table `questions`, ordered by ``question_id``. ``text`` is what is
        embedded: the text of an error's question, so that it is embedded once for both.
    """
    texts = error_text(responses, "question")
    questions = responses[["question_id", "subject", "question", "choices", "gold"]].assign(
        text=texts, text_id=[text_id(text) for text in texts]
    )
    return _distinct(questions)


def merge_questions(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Merge questions of several submissions into one table.

    Where submissions show a question with other spacing or letter case, or another subject, one of
    them is chosen by a rule that depends on neither their order nor how they were merged before:
    the first in the order of text hash, subject and gold, nulls last.

    Parameters
    ----------
    parts : sequence of DataFrame
        What `questions_of` or this function returned; at least one.

    Returns
    -------
    DataFrame
        With the same columns, ordered by ``question_id``, which is unique.
    """
    import pandas as pd

    return _distinct(pd.concat(list(parts), ignore_index=True))


def content_version(questions: pd.DataFrame) -> str:
    """Return a hash that changes exactly when the questions do: 32 hex digits of BLAKE2b."""
    digest = hashlib.blake2b(digest_size=16)
    for row in zip(*(questions[name].tolist() for name in _ORDER), strict=True):
        for value in row:
            text = value if isinstance(value, str) else "\x00"
            digest.update(len(text).to_bytes(8, "big"))
            digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _distinct(questions: pd.DataFrame) -> pd.DataFrame:
    ordered = questions.sort_values(_ORDER, kind="stable", na_position="last")
    distinct = ordered.drop_duplicates("question_id", ignore_index=True)
    return distinct[list(COLUMNS)]
