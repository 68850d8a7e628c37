"""Small files of battles in the shapes that their publishers use."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from errclust_pipeline_tests.helpers.result_files import questions
from errclust_pipeline_tests.sources.reading import write_lines


def conversation(*texts: str) -> list[dict[str, str]]:
    """User and assistant in turn."""
    return [
        {"content": text, "role": "assistant" if number % 2 else "user"}
        for number, text in enumerate(texts)
    ]


def mt_bench_row(number: int = 81, **changed: Any) -> dict[str, Any]:
    """A row of `lmsys/mt_bench_human_judgments`."""
    asked = f"Write a poem about harbour {number}.", "Make it shorter."
    return {
        "question_id": number,
        "model_a": "alpaca-13b",
        "model_b": "gpt-4",
        "winner": "model_b",
        "judge": "expert_1",
        "conversation_a": conversation(asked[0], "a1", asked[1], "a2"),
        "conversation_b": conversation(asked[0], "b1", asked[1], "b2"),
        "turn": 1,
        **changed,
    }


def arena_row(number: int = 0, **changed: Any) -> dict[str, Any]:
    """A row of `lmsys/chatbot_arena_conversations`."""
    asked = f"What is river {number}?"
    return {
        "question_id": f"{number:032x}",
        "model_a": "koala-13b",
        "model_b": "vicuna-13b",
        "winner": "tie (bothbad)",
        "judge": f"arena_user_{number}",
        "conversation_a": conversation(asked, "A river."),
        "conversation_b": conversation(asked, "I do not know."),
        "turn": 1,
        "anony": True,
        "language": "English",
        "tstamp": 1682351591.1322,
        "toxic_chat_tag": {"roberta": {"flagged": False, "probability": 0.01}},
        **changed,
    }


STRENGTH = {"weak": 0.0, "middle": 0.8, "strong": 1.6, "chess-player": 0.8}


def topic_battles(per_topic: int = 60) -> list[dict[str, Any]]:
    """Battles on four topics; one model wins whenever it is about chess. Two judges a prompt."""
    draw = random.Random(0)
    found = []
    for number, (topic, prompt) in enumerate(questions(per_topic)):
        models = draw.sample(list(STRENGTH), 4)
        for first, second in (models[:2], models[2:]):
            odds = STRENGTH[first] - STRENGTH[second]
            if topic == "chess" and "chess-player" in (first, second):
                odds += 4 if first == "chess-player" else -4
            won = draw.random() < 1 / (1 + math.exp(-odds))
            answers = {
                model: f"**{model}** says\n- one thing{' again' * draw.randrange(20)} {number}"
                for model in (first, second)
            }
            found += [
                mt_bench_row(
                    number,
                    model_a=first,
                    model_b=second,
                    winner=("model_a" if won else "model_b") if draw.random() < 0.9 else "tie",
                    judge=judge,
                    conversation_a=conversation(prompt, answers[first]),
                    conversation_b=conversation(prompt, answers[second]),
                )
                for judge in ("expert_1", "gpt4_pair")
            ]
    return found


def write_lmsys(path: Path, rows: Iterable[dict[str, Any]] | None = None) -> Path:
    """Write rows as JSON lines; by default of a few MT-bench questions."""
    return write_lines(path, list(rows or map(mt_bench_row, range(81, 91))))


def pair_row(**changed: Any) -> dict[str, Any]:
    """A row of FastChat's `gpt-4_pair.jsonl`."""
    return {
        "question_id": 81,
        "model_1": "alpaca-13b",
        "model_2": "gpt-3.5-turbo",
        "g1_winner": "model_2",
        "g2_winner": "model_2",
        "judge": ["gpt-4", "pair-v2"],
        "g1_user_prompt": "…",
        "g1_judgment": "…",
        "turn": 1,
        "tstamp": 1687222552.1,
        **changed,
    }


def write_fastchat(folder: Path, pairs: list[Any], answers: bool = True) -> Path:
    """Write a benchmark's folder of FastChat."""
    write_lines(
        folder / "question.jsonl",
        [{"question_id": 81, "category": "writing", "turns": ["Write.", "Rewrite."]}],
    )
    for model in ("alpaca-13b", "gpt-3.5-turbo") if answers else ():
        turns = [f"{model} wrote.", f"{model} rewrote."]
        answer = {"question_id": 81, "choices": [{"index": 0, "turns": turns}]}
        write_lines(folder / "model_answer" / f"{model}.jsonl", [answer])
    return write_lines(folder / "model_judgment" / "gpt-4_pair.jsonl", pairs)


def vote_row(**changed: Any) -> dict[str, Any]:
    """A row of llmfao's `crowd-comparisons.csv`."""
    return {
        "id": "0",
        "prompt": "8",
        "model_x": "97",
        "model_y": "98",
        "worker": "58",
        "winner": "left",
        "left": "Model Ninety-seven",
        "right": "Model Ninety-eight",
        **changed,
    }


def write_llmfao(
    folder: Path, votes: list[dict[str, Any]], name: str = "crowd-comparisons.csv"
) -> Path:
    """Write votes and, unless it is there, one pair of outputs."""
    pairs = folder / "pairs-crowd.jsonl"
    if not pairs.exists():
        pair = {"id": 0, "prompt": 8, "text": "A haiku, please.", "type": "reflexion"}
        outputs = {"model_x": 97, "result_x": "One.", "model_y": 98, "result_y": "Two."}
        write_lines(pairs, [pair | outputs])
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(votes[0]))
        writer.writeheader()
        writer.writerows(votes)
    return folder / name


def pandalm_row(number: int = 0, **changed: Any) -> dict[str, Any]:
    """An element of PandaLM's list."""
    return {
        "idx": number,
        "motivation_app": "Mail",
        "cmp_key": "bloom-7b_cerebras-gpt-6.7B",
        "instruction": f"Shorten sentence {number}.",
        "input": "It is, in fact, long.",
        "response1": "It is long.",
        "response2": "Long.",
        "annotator1": 1,
        "annotator2": 2,
        "annotator3": 0,
        **changed,
    }


def write_pandalm(path: Path, rows: list[Any]) -> Path:
    """Write PandaLM's list."""
    path.write_text(json.dumps(rows))
    return path
