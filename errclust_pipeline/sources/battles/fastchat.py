"""Reader of FastChat's judgment files: a language model compares MT-bench answers pairwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import BATCH_ROWS, SourceError, Submission, file_fingerprint
from errclust_pipeline.sources.battles.base import (
    BATTLE_FILES,
    BattleBatch,
    battle_batches,
    time_of,
    whole_number,
)
from errclust_pipeline.sources.parsing.json_stream import RowError, rows_of_json_file
from errclust_pipeline.sources.parsing.rows import metadata_json, text_of
from errclust_pipeline.sources.registry import RegisteredReader

QUESTION_FILE = "question.jsonl"
ANSWER_FOLDER = "model_answer"

_PAIR = frozenset({"question_id", "model_1", "model_2", "g1_winner", "g2_winner"})
_COLUMNS = (*sorted(_PAIR), "judge", "tstamp", "turn")
_SINGLE = frozenset({"question_id", "model", "judge", "score", "judgment"})
_SIDES = {"model_1": "model_a", "model_2": "model_b", "tie": "tie"}

_Turns = list[str]


class FastChatReader(RegisteredReader):
    """Pairwise judgments, with the questions and answers that lie in the same benchmark folder.

    The judge sees every pair twice, in both orders. As in FastChat's own `show_result.py` a model
    wins if both games say so; any other two verdicts are a tie.
    """

    name = "fastchat"

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether it is a file of judgments, be they of pairs or of single answers."""
        return fields >= _PAIR or fields >= _SINGLE

    def battle_sets(
        self, files: Mapping[Path, frozenset[str]], name: str | None
    ) -> list[Submission]:
        """Return the judgments of each benchmark's folder as one battle set.

        Raises
        ------
        SourceError
            If there are only scores of single answers, or the questions are missing.
        """
        folders: dict[Path, list[Path]] = {}
        for file, fields in sorted(files.items()):
            if fields >= _PAIR:
                folders.setdefault(_benchmark_folder(file), []).append(file)
        if not folders:
            single = min(files)
            raise SourceError(
                f"{single} holds scores that a judge gave to single answers, of 1 to 10: no model "
                "meets another there. Ingest <judge>_pair.jsonl for battles; for a map of what "
                "scores low, write the scores, divided by 10, into a table with the columns "
                "input_text, output_text, model and score"
            )
        battle_sets = []
        for folder, judgments in folders.items():
            questions = folder / QUESTION_FILE
            if not questions.is_file():
                raise SourceError(
                    f"{judgments[0]} says who won, but not on which questions: put the benchmark's "
                    f"{QUESTION_FILE} into {folder}"
                )
            answers = sorted((folder / ANSWER_FOLDER).glob("*.jsonl"))
            paths = [*judgments, questions, *answers]
            battle_sets.append(
                Submission(
                    benchmark=name or folder.name or "mt_bench",
                    model="",
                    reader=self.name,
                    files=tuple(map(str, paths)),
                    revision=file_fingerprint(*paths),
                    options={BATTLE_FILES: len(judgments)},
                )
            )
        return battle_sets

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream the judgments; the benchmark's questions and answers are held in memory."""
        count = int(submission.options[BATTLE_FILES])
        questions = _read_questions(Path(submission.files[count]))
        answers: dict[tuple[str, str], _Turns] = {}
        for file in map(Path, submission.files[count + 1 :]):
            answers |= _read_answers(file)

        def convert(row: dict[str, Any]) -> list[dict[str, Any]] | RowError:
            return _to_battles(row, questions, answers)

        return battle_batches(submission, batch_rows, _COLUMNS, convert, self.expects)


def _benchmark_folder(judgments: Path) -> Path:
    """Return the folder with a benchmark's questions: the one above the judgments, as a rule."""
    beside = (judgments.parent / QUESTION_FILE).is_file()
    return judgments.parent if beside else judgments.parent.parent


def _read_questions(path: Path) -> dict[str, tuple[_Turns, str | None]]:
    """Return each question's turns and category, by its id."""
    questions = {}
    for _, row in rows_of_json_file(path):
        turns = _texts(row.get("turns")) if isinstance(row, dict) else None
        if turns:
            questions[str(row.get("question_id"))] = turns, text_of(row.get("category"))
    if not questions:
        raise SourceError(f"{path} holds no question: expected lines with question_id and turns")
    return questions


def _read_answers(path: Path) -> dict[tuple[str, str], _Turns]:
    """Return a model's answers to the turns of each question; the file is named after the model."""
    answers = {}
    for _, row in rows_of_json_file(path):
        choices = row.get("choices") if isinstance(row, dict) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        turns = _texts(first.get("turns")) if isinstance(first, dict) else None
        if turns:
            answers[path.stem, str(row.get("question_id"))] = turns
    return answers


def _texts(value: Any) -> _Turns | None:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return None
    return value


def _to_battles(
    row: dict[str, Any],
    questions: Mapping[str, tuple[_Turns, str | None]],
    answers: Mapping[tuple[str, str], _Turns],
) -> list[dict[str, Any]] | RowError:
    turn = whole_number(row.get("turn"))
    question = str(row.get("question_id"))
    if question not in questions:
        return RowError(
            "unknown_question", f"{QUESTION_FILE} has no usable question {question[:100]}"
        )
    asked, category = questions[question]
    if turn is None or turn > len(asked):
        return RowError(
            "missing_turn", f"turn is {row.get('turn')!r}; the question has {len(asked)} of them"
        )
    game, swapped = str(row.get("g1_winner")), str(row.get("g2_winner"))
    if game not in _SIDES or swapped not in _SIDES:
        # Among them "error": the judge's answer could not be read.
        return RowError(
            "unknown_winner", f"the two games ended {game[:100]!r} and {swapped[:100]!r}"
        )
    judge = row.get("judge")
    judge = text_of(judge[0] if isinstance(judge, list) and judge else judge)
    model_a, model_b = row.get("model_1"), row.get("model_2")
    responses = [
        "\n\n".join(turns[:turn]) if (turns := answers.get((str(model), question))) else None
        for model in (model_a, model_b)
    ]
    return [
        {
            "battle_id": f"{question}|{model_a}|{model_b}|{judge}|{turn}",
            "subject": category,
            "prompt": asked[0] if turn == 1 else "\n\n".join(asked[:turn]),
            "response_a": responses[0],
            "response_b": responses[1],
            "model_a": model_a,
            "model_b": model_b,
            "winner": _SIDES[game] if game == swapped else "tie",
            "judge": judge,
            "judge_kind": "model",
            "turn": turn,
            "time": time_of(row.get("tstamp")),
            "metadata": _games_json(question, game, swapped),
        }
    ]


@lru_cache(maxsize=10_000)
def _games_json(question: str, first: str, second: str) -> str | None:
    return metadata_json({"question_id": question, "g1_winner": first, "g2_winner": second})
