"""How fast are the readers of the Open LLM Leaderboards, beside merely parsing the same files?

    python benchmarks/reading_leaderboards.py

Writes files in the leaderboards' shapes and sizes, and prints rows a second of the reader (rows and
rejects in Arrow, hashes and all), and of a parser that throws away what it parsed: `orjson` for
JSON lines where it is installed (else `json`), and pyarrow, to Python objects, for Parquet.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.sources import find_submissions, read_submission

TIME = "2025-01-28T10-22-20.980995"
WORDS = [f"word{number}" for number in range(2_000)]


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


def rates(rows: int) -> Iterator[tuple[str, float, str, float]]:
    """Yield what was read, rows a second of the reader, the parser, and its rows a second."""
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "org__model")
        model.mkdir()
        loads, parser = _json_parser()
        for task, row in (("mmlu_pro", multiple_choice), ("math_algebra_hard", generated)):
            path = model / f"samples_leaderboard_{task}_{TIME}.jsonl"
            with path.open("w") as file:
                for number in range(rows):
                    file.write(json.dumps(row(number)) + "\n")
            yield (
                f"v2 {task} ({path.stat().st_size / rows / 1024:.0f} KiB a row)",
                rows / _seconds(lambda path=path: _read(path)),
                parser,
                rows / _seconds(lambda path=path: _parse_lines(path, loads)),
            )
        run = Path(folder, "details_org__model", TIME)
        run.mkdir(parents=True)
        path = run / f"details_harness|arc:challenge|25_{TIME}.parquet"
        pq.write_table(pa.Table.from_pylist([details(number) for number in range(rows)]), path)
        yield (
            f"v1 arc_challenge ({path.stat().st_size / rows / 1024:.0f} KiB a row)",
            rows / _seconds(lambda: _read(path)),
            "pyarrow",
            rows / _seconds(lambda: pq.read_table(path).to_pylist()),
        )


def _json_parser() -> tuple[Callable[[bytes], Any], str]:
    try:
        import orjson
    except ImportError:
        return json.loads, "json"
    return orjson.loads, "orjson"


def _parse_lines(path: Path, loads: Callable[[bytes], Any]) -> None:
    with path.open("rb") as file:
        for line in file:
            loads(line)


def _read(path: Path) -> None:
    [submission] = find_submissions(path)
    for _ in read_submission(submission):
        pass


def _seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    """Print one row a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000)
    print(f"{'':<42}{'reader':>10}{'parser':>10}      share")
    for what, reader, parser_name, parsed in rates(parser.parse_args().rows):
        share = f"{reader / parsed:>6.0%} of {parser_name}"
        print(f"{what:<42}{reader:>8,.0f}/s{parsed:>8,.0f}/s  {share}")


if __name__ == "__main__":
    main()
