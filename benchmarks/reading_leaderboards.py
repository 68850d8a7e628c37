"""How fast are the readers of the Open LLM Leaderboards, beside merely parsing the same files?

    python benchmarks/reading_leaderboards.py

Writes files in the leaderboards' shapes and sizes, and prints rows a second of processor time: of
the reader (from the file to Arrow, hashes of questions and all), and of a parser that throws away
what it parsed: `orjson`, or pyarrow for Parquet (the reader leaves out prompts and tokens).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.sources import find_submissions, read_submission

TIME = "2025-01-28T10-22-20.980995"
WORDS = [
    *(f"word{number}" for number in range(1_500)),
    *(f"$\\frac{{{number}}}{{7}}$" for number in range(100)),
    *(f"step {number}.\n" for number in range(100)),
    *(f'"{number}"' for number in range(50)),
]
"""With the escapes that mathematics, lists and quotations have in JSON."""


def text(words: int) -> str:
    """Return words drawn at random."""
    return " ".join(random.choices(WORDS, k=words))


def multiple_choice(number: int) -> dict[str, Any]:
    """A row of MMLU-Pro on leaderboard v2: five worked examples, once for each of ten options."""
    prompt = text(900)
    options = [text(6) for _ in range(10)]
    likelihoods = [[str(-random.random() * 9), "False"] for _ in options]
    return {
        "doc_id": number,
        "doc": {
            "question_id": number, "question": text(40), "options": options, "answer": "C",
            "answer_index": 2, "cot_content": "", "category": "law", "src": "x",
        },
        "target": "C",
        "arguments": {
            f"gen_args_{position}": {"arg_0": prompt, "arg_1": f" {'ABCDEFGHIJ'[position]}"}
            for position in range(10)
        },
        "resps": [[one] for one in likelihoods],
        "filtered_resps": likelihoods,
        "doc_hash": f"{number:064x}", "prompt_hash": f"{number:064x}", "target_hash": "0" * 64,
        "acc": float(random.random() < 0.4),
    }  # fmt: skip


def generated(number: int) -> dict[str, Any]:
    """A row of MATH on leaderboard v2."""
    return {
        "doc_id": number,
        "doc": {"problem": text(60), "level": "Level 5", "type": "Algebra", "solution": text(120)},
        "target": "42",
        "arguments": {"gen_args_0": {"arg_0": text(900), "arg_1": {"until": ["Problem:"]}}},
        "resps": [[text(250)]],
        "filtered_resps": ["42"],
        "doc_hash": f"{number:064x}", "prompt_hash": f"{number:064x}", "target_hash": "0" * 64,
        "exact_match": int(random.random() < 0.2),
    }  # fmt: skip


def details(number: int) -> dict[str, Any]:
    """A row of ARC on leaderboard v1, with its twenty-five worked examples and tokens."""
    tokens = [[random.randrange(32_000) for _ in range(900)] for _ in range(4)]
    return {
        "example": f"Question: {text(25)}\nAnswer:",
        "full_prompt": text(1_200),
        "instruction": "",
        "choices": [text(5) for _ in range(4)],
        "gold": ["x"],
        "gold_index": 2,
        "predictions": [-random.random() * 9 for _ in range(4)],
        "pred_logits": [],
        "input_tokens": tokens,
        "cont_tokens": [[1, 2, 3]] * 4,
        "metrics": {"acc": float(random.random() < 0.5), "acc_norm": float(random.random() < 0.5)},
        "num_asked_few_shots": 25,
        "num_effective_few_shots": 25,
        "hash": f"{number:016x}",
    }


def rates(rows: int) -> Iterator[tuple[str, float, float]]:
    """Yield what was read, and rows a second of the reader and of the parser."""
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "org__model")
        model.mkdir()
        for task, row in (("mmlu_pro", multiple_choice), ("math_algebra_hard", generated)):
            path = model / f"samples_leaderboard_{task}_{TIME}.jsonl"
            with path.open("w") as file:
                for number in range(rows):
                    file.write(json.dumps(row(number)) + "\n")
            yield _rates(f"v2 {task}", path, rows, partial(_parse_lines, path))
            early = path.with_suffix(".json")
            early.write_text(f"[{','.join(path.read_text().splitlines())}]")
            path.unlink()
            yield _rates(
                f"v2 {task}, a list",
                early,
                rows,
                lambda early=early: orjson.loads(early.read_bytes()),
            )
            early.unlink()
        run = Path(folder, "details_org__model", TIME)
        run.mkdir(parents=True)
        path = run / f"details_harness|arc:challenge|25_{TIME}.parquet"
        pq.write_table(pa.Table.from_pylist([details(number) for number in range(rows)]), path)
        yield _rates("v1 arc_challenge", path, rows, lambda: pq.read_table(path))


def _rates(
    what: str, path: Path, rows: int, parse: Callable[[], object]
) -> tuple[str, float, float]:
    [submission] = find_submissions(path)
    what = f"{what} ({path.stat().st_size / rows / 1024:.0f} KiB a row)"

    def read() -> None:
        for _ in read_submission(submission):
            pass

    return what, rows / _seconds(read), rows / _seconds(parse)


def _parse_lines(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of the best of five runs: other work on the machine counts less."""
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    """Print one row a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000)
    print(f"{'':<42}{'reader':>10}{'parser':>10}{'share':>8}")
    for what, reader, parsed in rates(parser.parse_args().rows):
        print(f"{what:<42}{reader:>8,.0f}/s{parsed:>8,.0f}/s{reader / parsed:>8.0%}")


if __name__ == "__main__":
    main()
