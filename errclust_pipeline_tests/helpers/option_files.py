"""Multiple-choice results with log-likelihoods of the options, as lm-evaluation-harness writes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from errclust_pipeline_tests.helpers.result_files import questions

LETTERS = "ABCDEF"
TIME = "2026-01-21T03-44-18.458309"


def log_likelihoods(
    topic: str, options: int, right: int, generator: np.random.Generator, deceived_in: str | None
) -> list[float]:
    """What a model says of a question: sure and mostly right, or in one topic sure and wrong."""
    values = generator.normal(0, 1, options)
    is_right = generator.random() < 0.8
    if topic == deceived_in:
        is_right = generator.random() < 0.15
        values[right] -= 2
    favourite = right if is_right else (right + 1 + generator.integers(options - 1)) % options
    values[favourite] += 5 if topic == deceived_in else generator.choice([1.0, 4.0])
    return [float(value) for value in values - 3]


def write_lm_eval(
    folder: Path,
    task: str = "trivia",
    model: str = "org/model-a",
    per_topic: int = 60,
    deceived_in: str | None = None,
    scored: str = "letters",
    metric: str = "acc",
    options: tuple[int, ...] = (4,),
    seed: int = 0,
) -> Path:
    """Write a model's folder: `results_*.json` and `samples_*.jsonl`.

    Parameters
    ----------
    deceived_in : str, optional
        The topic in which the model is confidently wrong.
    scored : str
        What the log-likelihoods are of: "letters" or "texts".
    options : tuple of int
        How many options questions have, in turn.
    """
    generator = np.random.default_rng(seed)
    own = folder / model.replace("/", "__")
    own.mkdir(parents=True)
    lines, correct = [], 0
    for number, (topic, question) in enumerate(questions(per_topic)):
        count = options[number % len(options)]
        right = int(generator.integers(count))
        texts = [f"answer {'long ' * position}{number}" for position in range(count)]
        asked = list(LETTERS[:count]) if scored == "letters" else texts
        likelihoods = log_likelihoods(topic, count, right, generator, deceived_in)
        lengths = [len(text) if metric == "acc_norm" else 1 for text in asked]
        likelihoods = [value * length for value, length in zip(likelihoods, lengths, strict=True)]
        chosen = int(np.argmax(np.array(likelihoods) / lengths))
        correct += chosen == right
        responses = [[str(value), "False"] for value in likelihoods]
        lines.append(
            {
                "doc_id": number,
                "doc": {
                    "question": question, "choices": texts, "answer": right, "subject": topic,
                },
                "target": right,
                "arguments": {
                    f"gen_args_{position}": {"arg_0": question, "arg_1": f" {text}"}
                    for position, text in enumerate(asked)
                },
                "resps": [[one] for one in responses],
                "filtered_resps": responses,
                "filter": "none",
                "metrics": [metric],
                "doc_hash": f"{number:064x}",
                metric: float(chosen == right),
            }
        )  # fmt: skip
    samples = own / f"samples_{task}_{TIME}.jsonl"
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = {
        "model_name": model,
        "model_source": "hf",
        "results": {task: {f"{metric},none": correct / len(lines)}},
    }
    (own / f"results_{TIME}.json").write_text(json.dumps(results))
    return own


def write_llm_uncertainty(folder: Path, per_topic: int = 40, seed: int = 0) -> Path:
    """Write logits and questions as they lie in the repository of LLM-Uncertainty-Bench."""
    generator = np.random.default_rng(seed)
    entries: list[dict[str, Any]] = []
    asked: list[dict[str, Any]] = []
    for number, (topic, question) in enumerate(questions(per_topic)):
        right = int(generator.integers(4))
        values = log_likelihoods(topic, 6, right, generator, None)
        values[4:] = [value - 4 for value in values[4:]]
        entries.append({"id": number, "logits_options": np.array(values, "f4")})
        asked.append(
            {
                "source": "MMLU",
                "id": number,
                "question": question,
                "context": None,
                "choices": {
                    **{label: f"{label.lower()} {number}" for label in "ABCD"},
                    "E": "I don't know",
                    "F": "None of the above",
                },
                "answer": LETTERS[right],
                "answer_type": topic,
            }
        )
    path = folder / "outputs_base" / "Org-7b-hf_mmlu_10k_base_icl1.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(entries))
    (folder / "data").mkdir()
    (folder / "data" / "mmlu_10k.json").write_text(json.dumps(asked))
    return path
