"""Small files in the shapes of the Open LLM Leaderboards, both versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.sources.formats.lm_eval_rows import metric_of_task

TIME = "2025-01-28T10-22-20.980995"
EARLY_TIME = "2024-06-16T22-11-25.600579"

BBH = (
    "boolean_expressions", "causal_judgement", "date_understanding", "disambiguation_qa",
    "formal_fallacies", "geometric_shapes", "hyperbaton", "logical_deduction_five_objects",
    "logical_deduction_seven_objects", "logical_deduction_three_objects", "movie_recommendation",
    "navigate", "object_counting", "penguins_in_a_table", "reasoning_about_colored_objects",
    "ruin_names", "salient_translation_error_detection", "snarks", "sports_understanding",
    "temporal_sequences", "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects",
    "web_of_lies",
)  # fmt: skip
MATH = (
    "algebra", "counting_and_prob", "geometry", "intermediate_algebra", "num_theory", "prealgebra",
    "precalculus",
)  # fmt: skip
TASKS = (
    *(f"leaderboard_bbh_{name}" for name in BBH),
    *(f"leaderboard_gpqa_{name}" for name in ("diamond", "extended", "main")),
    *(f"leaderboard_math_{name}_hard" for name in MATH),
    *(
        f"leaderboard_musr_{name}"
        for name in ("murder_mysteries", "object_placements", "team_allocation")
    ),
    "leaderboard_ifeval",
    "leaderboard_mmlu_pro",
)
"""All tasks of version 2."""


def is_right(number: int) -> bool:
    """Whether the answer to a question is right in all files made here."""
    return number % 3 == 0


def sample(task: str, number: int) -> dict[str, Any]:
    """A row of version 2, as lm-evaluation-harness 0.4.3 wrote it: no filter, no metrics."""
    make: Callable[[int], dict[str, Any]]
    if task.startswith("leaderboard_math"):
        make = _math
    elif task == "leaderboard_ifeval":
        make = _ifeval
    elif task.startswith("leaderboard_gpqa"):
        make = _gpqa
    elif task.startswith("leaderboard_musr"):
        make = _musr
    elif task == "leaderboard_mmlu_pro":
        make = _mmlu_pro
    else:
        make = _bbh
    return {
        "doc_id": number,
        "doc_hash": f"{number:064x}",
        "prompt_hash": f"{number:064x}",
        "target_hash": f"{number:064x}",
        **make(number),
    }


def _chosen(
    number: int, doc: Mapping[str, Any], target: str, options: list[str], gold: int, metric: str
) -> dict[str, Any]:
    # By the length of its option the gold one wins where the answer is right.
    best = gold if is_right(number) else (gold + 1) % len(options)
    likelihoods = [
        [str(-1.0 * len(option) if position == best else -9.0 * len(option)), "False"]
        for position, option in enumerate(options)
    ]
    return {
        "doc": dict(doc),
        "target": target,
        "arguments": {
            f"gen_args_{position}": {
                "arg_0": "worked examples and the question",
                "arg_1": f" {one}",
            }
            for position, one in enumerate(options)
        },
        "resps": [[one] for one in likelihoods],
        "filtered_resps": likelihoods,
        metric: float(is_right(number)),
    }


def _bbh(number: int) -> dict[str, Any]:
    gold = number % 2
    options = ["(A)", "(B)"]
    doc = {"input": f"Which of these is case {number}?", "target": options[gold]}
    return _chosen(number, doc, options[gold], options, gold, "acc_norm")


def _gpqa(number: int) -> dict[str, Any]:
    gold = number % 4
    options = [f"({letter})" for letter in "ABCD"]
    texts = [f"outcome {number} {letter}" for letter in "ABCD"]
    doc = {
        "Question": f"What follows from experiment {number}?",
        "Subdomain": "Organic Chemistry",
        "choices": texts,
        "answer": options[gold],
        **{f"choice{position + 1}": text for position, text in enumerate(texts)},
    }
    return _chosen(number, doc, options[gold], options, gold, "acc_norm")


def _musr(number: int) -> dict[str, Any]:
    gold = number % 2
    options = ["Ada", "Grace"]
    doc = {
        "narrative": f"It was night {number} in the old house, and someone was missing.",
        "question": "Who is the most likely murderer?",
        "choices": str(options),
        "answer_index": gold,
        "answer_choice": options[gold],
    }
    return _chosen(number, doc, options[gold], options, gold, "acc_norm")


def _mmlu_pro(number: int) -> dict[str, Any]:
    gold = number % 10
    letters = list("ABCDEFGHIJ")
    doc = {
        "question_id": number,
        "question": f"Which rule of law applies to case {number}?",
        "options": [f"rule {number} {letter}" for letter in letters],
        "answer": letters[gold],
        "answer_index": gold,
        "category": "law",
        "src": "generated",
        "cot_content": "",
    }
    return _chosen(number, doc, letters[gold], letters, gold, "acc")


def _math(number: int) -> dict[str, Any]:
    right = is_right(number)
    return {
        "doc": {
            "problem": f"What is ${number} + 1$?",
            "level": "Level 5",
            "type": "Algebra",
            "solution": f"It is $\\boxed{{{number + 1}}}$.",
            "answer": str(number + 1),
        },
        "target": str(number + 1),
        "arguments": {"gen_args_0": {"arg_0": "Problem: …", "arg_1": {"until": ["Problem:"]}}},
        "resps": [[f"The final answer is ${number + 1 if right else -1}$."]],
        "filtered_resps": [str(number + 1) if right else "-1"],
        "exact_match": int(right),
    }


def _ifeval(number: int) -> dict[str, Any]:
    right = is_right(number)
    return {
        "doc": {
            "key": number,
            "prompt": f"Write {number + 10} words without a comma, all in capitals.",
            "instruction_id_list": ["punctuation:no_comma", "change_case:english_capital"],
            "kwargs": [{}, {}],
        },
        "target": 0,
        "arguments": {"gen_args_0": {"arg_0": "…", "arg_1": {"until": []}}},
        "resps": [["SOME WORDS"]],
        "filtered_resps": ["SOME WORDS"],
        "prompt_level_strict_acc": right,
        "inst_level_strict_acc": [True, right],
        "prompt_level_loose_acc": True,
        "inst_level_loose_acc": [True, True],
    }


def details_v2(
    model: str,
    tasks: Iterable[str] = TASKS,
    rows: int = 6,
    time: str = TIME,
    as_list: bool = False,
    with_results: bool = True,
) -> dict[str, bytes]:
    """The files of one run in a model's details of version 2, by path.

    Parameters
    ----------
    as_list : bool
        As one JSON list a file, as in June 2024.
    """
    folder, tasks = model.replace("/", "__"), list(tasks)
    files = {".gitattributes": b"*.parquet filter=lfs\n", "README.md": b"# Evaluation run\n"}
    for task in tasks:
        samples = [sample(task, number) for number in range(rows)]
        if as_list:
            files[f"{folder}/samples_{task}_{time}.json"] = json.dumps(samples, indent=2).encode()
        else:
            lines = "".join(json.dumps(one) + "\n" for one in samples)
            files[f"{folder}/samples_{task}_{time}.jsonl"] = lines.encode()
    if with_results:
        results = {
            "model_name": model,
            "model_source": "hf",
            "config": {"model": "hf", "model_args": f"pretrained={model},dtype=bfloat16"},
            "results": {
                task: {f"{metric_of_task(task)},none": sum(map(is_right, range(rows))) / rows}
                for task in tasks
            },
            "n-samples": {task: {"original": rows, "effective": rows} for task in tasks},
        }
        files[f"{folder}/results_{time}.json"] = json.dumps(results).encode()
    return files


def contents(averages: Iterable[tuple[str, float | None, bool]]) -> bytes:
    """The table `contents` of a leaderboard: model, average and whether it was flagged."""
    rows = [
        {
            "eval_name": f"{model.replace('/', '_')}_bfloat16",
            "Precision": "bfloat16",
            "fullname": model,
            "Average ⬆️": average,
            "Submission Date": "2025-01-28",
            "Flagged": flagged,
        }
        for model, average, flagged in averages
    ]
    return parquet(rows)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Rows as a Parquet file."""
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


ARC, HELLASWAG, WINOGRANDE = "arc:challenge", "hellaswag", "winogrande"
TRUTHFULQA, GSM8K, DROP = "truthfulqa:mc", "gsm8k", "drop"
SHOTS = {ARC: 25, HELLASWAG: 10, WINOGRANDE: 5, TRUTHFULQA: 0, GSM8K: 5, DROP: 3}
LAYOUTS = ("columns", "dotted", "struct")
"""Where a details file of version 1 has its metrics."""


def detail(task: str, number: int, layout: str = "struct") -> dict[str, Any]:
    """A row of version 1; in layout `columns` with the oldest names of columns."""
    subject = task.removeprefix("hendrycksTest-")
    right = is_right(number)
    gold = number % 2
    chosen = gold if right else 1 - gold
    options = ["wood", "iron"]
    predictions: list[Any] = [-1.0 if position == chosen else -30.0 for position in (0, 1)]
    metrics: dict[str, Any] = {"acc": float(right)}
    if task == ARC:
        text = f"Question: What is tool {number} made of?\nAnswer:"
        metrics["acc_norm"] = float(right)
    elif task == HELLASWAG:
        text = f"Making tools: Someone takes tool {number} and shows what it is made of."
        metrics["acc_norm"] = float(right)
    elif task == WINOGRANDE:
        text = f"Tool {number} beat the other because _ is harder."
    elif task == TRUTHFULQA:
        text = f"What happens if you swallow tool {number}?"
        metrics = {"mc1": float(right), "mc2": 0.75 if right else 0.25}
        # Once for the options of each metric.
        predictions = [*predictions, *predictions]
    elif task == GSM8K:
        text = f"A shop has {number} tools and buys one. How many has it?"
        predictions = [f"It has {number + 1} tools.\n#### {number + 1 if right else 0}"]
        options = []
    elif task == DROP:
        text = f"How many tools were there in year {number}?"
        predictions = [" 12" if right else " none"]
        metrics = {"em": str(float(right)), "f1": "1.0" if right else "0.2"}
        options = []
    else:
        lettered = "\n".join(f"{letter}. {one}" for letter, one in zip("AB", options, strict=True))
        text = f"In {subject}, what is tool {number} made of?\n{lettered}\nAnswer:"
        options = ["A", "B"]
        metrics["acc_norm"] = float(right)
    row: dict[str, Any] = {"choices": options, "predictions": predictions, "full_prompt": "…" * 9}
    if layout == "columns":
        hashes = {"example": f"{number:016x}", "full_prompt": f"{number:016x}"}
        row |= {"example": f"id_{number}", "query": text, "gold": gold, "hashes": hashes, **metrics}
    else:
        answer = options[gold] if options else str(number + 1)
        row |= {
            "example": text,
            "instruction": "",
            "gold": [answer],
            "gold_index": [gold] if options else [0],
            "num_effective_few_shots": 5,
            "hash": f"{number:016x}",
        }
        if layout == "dotted":
            row |= {f"metrics.{name}": value for name, value in metrics.items()}
        else:
            row["metrics"] = metrics
    if task == DROP:
        row["passage"] = "There were twelve tools in every year."
    return row


def details_name(task: str, shots: int | None = None, time: str = TIME) -> str:
    """The path of a details file of version 1."""
    shots = SHOTS.get(task, 5) if shots is None else shots
    return f"{time}/details_harness|{task}|{shots}_{time}.parquet"


def details_v1(
    tasks: Iterable[str], rows: int = 6, time: str = TIME, layout: str = "struct"
) -> dict[str, bytes]:
    """The files of one run in a model's details of version 1, by path."""
    return {
        details_name(task, time=time): parquet(
            [detail(task, number, layout) for number in range(rows)]
        )
        for task in tasks
    } | {f"results_{time}.json": b'{"config_general": {}}'}
