"""Writing the demo leaderboard: result files as of lm-evaluation-harness, and the ground truth."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.demo.bugs import SLIP
from errclust_pipeline.demo.families import BENCHMARKS, write_questions
from errclust_pipeline.demo.families.dates import WEEKDAYS
from errclust_pipeline.demo.models import MODELS, Response, SimulatedModel, respond
from errclust_pipeline.demo.question import Question
from errclust_pipeline.warehouse.storage import replace_folder

TIMESTAMP = "2026-03-02T09-30-00.000000"
DATE = 1772443800.0
INVALID = "[invalid]"
"""Result of the harness' regex filters where nothing matches."""

STATED_ANSWER = r"The answer is (.+?)\.?\s*$"
LAST_NUMBER = rf"-?\d+(?:[.:]\d+)?|{'|'.join(WEEKDAYS)}"
FILTERS: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    "demo_numbers": (("strict-match", STATED_ANSWER, 0), ("flexible-extract", LAST_NUMBER, -1)),
    "demo_language": (("none", STATED_ANSWER, 0),),
}
"""The answer filters of each benchmark: name, pattern and the position of the match that counts.

The first filter decides whether the ground truth calls a response correct. The second takes the
last number of a response, which is sometimes a number in a response that was cut off.
"""

GENERATION = {
    "until": ["Question:", "</s>"],
    "do_sample": False,
    "temperature": 0.0,
    "max_gen_toks": 512,
}
GROUND_TRUTH = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("bug", pa.string()),
        pa.field("correct", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True)
class DemoLeaderboard:
    """The folder of a demo leaderboard, and the size of its contents."""

    folder: Path
    submissions: Path
    ground_truth: Path
    questions: Mapping[str, int]
    """Number of questions of each benchmark."""
    errors: Mapping[str, int]
    """Number of wrong responses of each model, over all benchmarks."""
    slips: Mapping[str, int]
    """Number of wrong responses of each model that no bug explains."""


def write_demo_leaderboard(folder: Path, random_state: int = 0) -> DemoLeaderboard:
    """Write the leaderboard into a folder, which appears only when it is complete.

    Parameters
    ----------
    folder : Path
        An earlier demo leaderboard in it is replaced.
    random_state : int
        The same value gives the same bytes.

    Raises
    ------
    FileExistsError
        If the folder holds a file or folder that is not part of a demo leaderboard.
    """
    _refuse_other_content(folder)
    with replace_folder(folder) as partial:
        (partial / "submissions").mkdir()
        questions = {
            benchmark: write_questions(benchmark, random_state) for benchmark in BENCHMARKS
        }
        truth: list[dict[str, Any]] = []
        for model in MODELS:
            truth += _write_submission(partial / "submissions", model, questions, random_state)
        table = pa.Table.from_pylist(truth, schema=GROUND_TRUTH)
        pq.write_table(table, partial / "ground_truth.parquet")
    return DemoLeaderboard(
        folder,
        folder / "submissions",
        folder / "ground_truth.parquet",
        {benchmark: len(written) for benchmark, written in questions.items()},
        Counter(row["model"] for row in truth if not row["correct"]),
        Counter(row["model"] for row in truth if row["bug"] == SLIP),
    )


def extract_answer(response: str, pattern: str, group: int) -> str:
    """Return one of a pattern's matches in a response, as the harness' regex filter does."""
    matches: list[str] = re.findall(pattern, response)
    return matches[group] if matches else INVALID


def _refuse_other_content(folder: Path) -> None:
    if folder.exists():
        other = {path.name for path in folder.iterdir()} - {"submissions", "ground_truth.parquet"}
        if other:
            raise FileExistsError(
                f"{folder} holds {sorted(other)[0]!r}, which is not part of a demo leaderboard: "
                "name an empty or a new folder"
            )


def _write_submission(
    submissions: Path,
    model: SimulatedModel,
    questions: Mapping[str, Sequence[Question]],
    random_state: int,
) -> list[dict[str, Any]]:
    """Write one model's folder, and return the model's rows of the ground truth."""
    folder = submissions / model.name.replace("/", "__")
    folder.mkdir()
    truth: list[dict[str, Any]] = []
    samples: dict[str, list[dict[str, Any]]] = {}
    for benchmark, asked in questions.items():
        responses = [respond(model, question, random_state) for question in asked]
        samples[benchmark] = [
            _sample(doc_id, question, response, name, extract_answer(response.text, pattern, group))
            for name, pattern, group in FILTERS[benchmark]
            for doc_id, (question, response) in enumerate(zip(asked, responses, strict=True))
        ]
        lines = [json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples[benchmark]]
        path = folder / f"samples_{benchmark}_{TIMESTAMP}.jsonl"
        path.write_text("".join(lines), encoding="utf-8", newline="\n")
        # The first filter decides, and its samples come first.
        scored = zip(asked, responses, samples[benchmark][: len(asked)], strict=True)
        truth += [
            {
                "benchmark": benchmark,
                "model": model.name,
                "doc_id": sample["doc_id"],
                "family": question.family,
                "kind": question.kind,
                "bug": response.bug,
                "correct": sample["exact_match"] == 1.0,
            }
            for question, response, sample in scored
        ]
    text = json.dumps(_results(model, samples), indent=2, ensure_ascii=False) + "\n"
    path = folder / f"results_{TIMESTAMP}.json"
    path.write_text(text, encoding="utf-8", newline="\n")
    return truth


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sample(
    doc_id: int, question: Question, response: Response, filter_name: str, answer: str
) -> dict[str, Any]:
    """Build one line of a samples file."""
    doc = {"question": question.text, "category": question.family, "answer": question.gold}
    prompt = f"Question: {question.text}\nAnswer:"
    return {
        "doc_id": doc_id,
        "doc": doc,
        "target": question.gold,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": GENERATION}},
        "resps": [[response.text]],
        "filtered_resps": [answer],
        "filter": filter_name,
        "metrics": ["exact_match"],
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(question.gold),
        "exact_match": float(answer == question.gold),
    }


def _results(model: SimulatedModel, samples: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Build the results file."""
    scores: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for benchmark, rows in samples.items():
        scores[benchmark] = {"alias": benchmark}
        for name, _, _ in FILTERS[benchmark]:
            values = [row["exact_match"] for row in rows if row["filter"] == name]
            counts[benchmark] = len(values)
            mean = sum(values) / len(values)
            scores[benchmark] |= {
                f"exact_match,{name}": mean,
                f"exact_match_stderr,{name}": sqrt(mean * (1 - mean) / (len(values) - 1)),
            }
    hashes = ("doc_hash", "prompt_hash", "target_hash")
    return {
        "results": scores,
        "group_subtasks": {benchmark: [] for benchmark in samples},
        "configs": {benchmark: _task(benchmark, model) for benchmark in samples},
        "versions": dict.fromkeys(samples, 1.0),
        "n-shot": dict.fromkeys(samples, 0),
        "higher_is_better": {benchmark: {"exact_match": True} for benchmark in samples},
        "n-samples": {
            benchmark: {"original": count, "effective": count}
            for benchmark, count in counts.items()
        },
        "config": {
            "model": "simulated",
            "model_args": f"pretrained={model.name}",
            "batch_size": "1",
            "batch_sizes": [],
            "device": None,
            "use_cache": None,
            "limit": None,
            "bootstrap_iters": 100000,
            "gen_kwargs": None,
            "random_seed": 0,
            "numpy_seed": 1234,
            "torch_seed": 1234,
            "fewshot_seed": 1234,
        },
        "git_hash": None,
        "date": DATE,
        "pretty_env_info": "simulated",
        "transformers_version": None,
        "lm_eval_version": None,
        "upper_git_hash": None,
        "task_hashes": {
            benchmark: _hash("".join(row[name] for row in rows for name in hashes))
            for benchmark, rows in samples.items()
        },
        "model_source": "simulated",
        "model_name": model.name,
        "model_name_sanitized": model.name.replace("/", "__"),
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": False,
        "chat_template": None,
        "chat_template_sha": None,
        "start_time": 0.0,
        "end_time": 0.0,
        "total_evaluation_time_seconds": "0.0",
    }


def _task(benchmark: str, model: SimulatedModel) -> dict[str, Any]:
    """Build a task's configuration, as the harness writes it."""
    return {
        "task": benchmark,
        "dataset_path": f"errclust/{benchmark}",
        "test_split": "test",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_target": "{{answer}}",
        "unsafe_code": False,
        "description": "",
        "target_delimiter": " ",
        "fewshot_delimiter": "\n\n",
        "num_fewshot": 0,
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "output_type": "generate_until",
        "generation_kwargs": GENERATION,
        "repeats": 1,
        "filter_list": [
            {
                "name": name,
                "filter": [
                    {"function": "regex", "regex_pattern": pattern, "group_select": group},
                    {"function": "take_first"},
                ],
            }
            for name, pattern, group in FILTERS[benchmark]
        ],
        "should_decontaminate": False,
        "metadata": {"version": 1.0, "pretrained": model.name},
    }
