"""Speed of the readers of battles, beside merely parsing the same files.

    python benchmarks/battle_reading.py ../shared/data

The real files of llmfao and PandaLM, and files generated in the shapes of LMSYS's and FastChat's.
"Parsing" is the quickest of the libraries at hand that give each row's values to Python or, for
columns, to Arrow: json, pyarrow, pandas. A reader parses too, and then checks, hashes and writes
every row of the table `battles`. Times are of the processor, medians of turns in which reader and
parsers take turns, so that what else the machine does weighs on all of them.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from errclust_pipeline.sources.battles import find_battle_sets, read_battles

_WORDS = [f"word{number}" for number in range(5_000)]


def main() -> None:
    """Print rows per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder with llmfao/ and pandalm/ in it")
    parser.add_argument("--rows", type=int, default=20_000, help="of the generated files")
    parser.add_argument("--turns", type=int, default=21, help="of which the median is taken")
    arguments = parser.parse_args()
    turns = arguments.turns
    print(f"{'':28}{'battles':>9}{'MB':>7}{'reader/s':>11}{'parsing/s':>11}{'share':>7}  parsed by")
    llmfao, pandalm = arguments.data / "llmfao", arguments.data / "pandalm"
    print_speed("llmfao, CSV and JSON lines", llmfao, turns)
    print_speed("PandaLM, one JSON list", pandalm, turns)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = arena_rows(arguments.rows)
        pq.write_table(pa.Table.from_pylist(rows), made(folder / "arena" / "train.parquet"))
        print_speed("Arena, Parquet", folder / "arena", turns)
        write_lines(folder / "arena_lines" / "train.jsonl", rows)
        print_speed("Arena, JSON lines", folder / "arena_lines", turns)
        write_fastchat(folder / "mt_bench", arguments.rows // 4)
        print_speed("FastChat, JSON lines", folder / "mt_bench", turns)


def print_speed(title: str, folder: Path, turns: int) -> None:
    """Time the reader and the parsers on a folder with one battle set."""
    (found,) = find_battle_sets(folder)
    files = [Path(file) for file in found.files]

    def read() -> int:
        return sum(batch.battles.num_rows for batch in read_battles(found))

    battles = read()
    parsers = {name: parse for name, parse in PARSERS.items() if parses(parse, files)}
    times: dict[str, list[float]] = {name: [] for name in ("reader", *parsers)}
    for _ in range(turns):
        times["reader"].append(seconds_of(read))
        for name, parse in parsers.items():
            times[name].append(seconds_of(lambda parse=parse: parse_all(parse, files)))
    medians = {name: median(values) for name, values in times.items()}
    seconds = medians.pop("reader")
    quickest = min(medians, key=medians.get)
    size = sum(file.stat().st_size for file in files) / 1e6
    print(
        f"{title:28}{battles:9,}{size:7.1f}{battles / seconds:11,.0f}"
        f"{battles / medians[quickest]:11,.0f}{medians[quickest] / seconds:7.2f}  {quickest} "
        f"({', '.join(f'{name} {battles / value:,.0f}' for name, value in medians.items())})"
    )


def seconds_of(work: Callable[[], int]) -> float:
    """Return how long the processor works."""
    started = time.process_time()
    work()
    return time.process_time() - started


def parse_all(parse: Callable[[Path], object], files: Iterable[Path]) -> int:
    """Parse files and throw the result away."""
    return sum(parse(file) is not None for file in files)


def parses(parse: Callable[[Path], object], files: Iterable[Path]) -> bool:
    """Whether a library can read all of the files."""
    try:
        parse_all(parse, files)
    except (ValueError, KeyError, pa.ArrowException):
        return False
    return True


def with_json(path: Path) -> object:
    """Parse by Python's own json, and tables by pyarrow, to Python's values."""
    if path.suffix == ".json":
        return json.loads(path.read_bytes())
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            return [json.loads(line) for line in file]
    return with_arrow(path).to_pylist()


def with_arrow(path: Path) -> pa.Table:
    """Parse by pyarrow, to Arrow."""
    readers = {".csv": pa_csv.read_csv, ".jsonl": pa_json.read_json, ".parquet": pq.read_table}
    return readers[path.suffix](path)


def with_pandas(path: Path) -> pd.DataFrame:
    """Parse by pandas, to a frame."""
    readers = {
        ".csv": pd.read_csv,
        ".json": pd.read_json,
        ".jsonl": lambda file: pd.read_json(file, lines=True),
        ".parquet": pd.read_parquet,
    }
    return readers[path.suffix](path)


PARSERS = {"json": with_json, "pyarrow": with_arrow, "pandas": with_pandas}


def arena_rows(count: int) -> list[dict[str, object]]:
    """Generate conversations of one to three turns, of the Arena's lengths."""
    draw = random.Random(0)
    rows = []
    for number in range(count):
        turns = draw.choice([1, 1, 1, 2, 3])
        asked = [text(draw, 30) for _ in range(turns)]
        rows.append(
            {
                "question_id": f"{number:032x}",
                "model_a": f"model-{draw.randrange(10)}",
                "model_b": f"model-{10 + draw.randrange(10)}",
                "winner": draw.choice(["model_a", "model_b", "tie", "tie (bothbad)"]),
                "judge": f"arena_user_{draw.randrange(count)}",
                "conversation_a": conversation(draw, asked),
                "conversation_b": conversation(draw, asked),
                "turn": turns,
                "anony": True,
                "language": "English",
                "tstamp": 1682351591.1322 + number,
                "toxic_chat_tag": {
                    name: {"flagged": False, "probability": 0.01} for name in ("roberta", "t5")
                },
            }
        )
    return rows


def conversation(draw: random.Random, asked: list[str]) -> list[dict[str, str]]:
    """Return the user's messages, each with an answer."""
    return [
        message
        for question in asked
        for message in (
            {"content": question, "role": "user"},
            {"content": text(draw, 130), "role": "assistant"},
        )
    ]


def text(draw: random.Random, words: int) -> str:
    """Return about so many words."""
    return " ".join(draw.choices(_WORDS, k=draw.randrange(words // 2, 2 * words)))


def write_fastchat(folder: Path, count: int) -> None:
    """Write pairwise judgments of two games with their prompts, questions and answers."""
    draw = random.Random(0)
    models = [f"model-{number}" for number in range(30)]
    write_lines(
        folder / "question.jsonl",
        [
            {"question_id": number, "category": "c", "turns": [text(draw, 30), text(draw, 30)]}
            for number in range(80)
        ],
    )
    for model in models:
        answers = [
            {
                "question_id": number,
                "choices": [{"index": 0, "turns": [text(draw, 130), text(draw, 130)]}],
            }
            for number in range(80)
        ]
        write_lines(folder / "model_answer" / f"{model}.jsonl", answers)
    pairs = [
        {
            "question_id": draw.randrange(80),
            "model_1": model,
            "model_2": other,
            "g1_winner": draw.choice(["model_1", "model_2", "tie"]),
            "g2_winner": draw.choice(["model_1", "model_2", "tie", "error"]),
            "judge": ["gpt-4", "pair-v2"],
            "g1_user_prompt": text(draw, 300),
            "g1_judgment": text(draw, 150),
            "g2_user_prompt": text(draw, 300),
            "g2_judgment": text(draw, 150),
            "turn": 1,
            "tstamp": 1687222552.1 + number,
        }
        for number in range(count)
        for model, other in [draw.sample(models, 2)]
    ]
    write_lines(folder / "model_judgment" / "gpt-4_pair.jsonl", pairs)


def write_lines(path: Path, rows: Iterable[object]) -> None:
    """Write JSON lines."""
    made(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def made(path: Path) -> Path:
    """Make the folder a file is to lie in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    main()
