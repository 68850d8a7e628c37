"""How fast are the readers, beside merely parsing the same file with the fastest library for it?

Real files where there are any; else real texts in a source's documented shape, written to a
temporary folder: the harness's ten real rows a thousand times and Inspect's three samples (with ids
of their own), GSM8K's solutions as tables, as OSQ-bench and as Every Eval Ever, MMLU-Pro's
questions with made-up logits.

Reading ends in checked rows of the `responses` schema, each with its question's hash; parsing ends
in Python objects or Arrow columns of what stands in the file; a pickle is taken apart but not
loaded, since loading a stranger's is no option. Also printed is what finding the
submission takes, which looks at the file and hashes it. Each is the median of several times, taken
in turns, in seconds of processor time, so that what else the machine does counts little.

Run from the project's root::

    python benchmarks/source_throughput.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import pickletools
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from errclust_pipeline.sources import find_submissions, read_submission
from errclust_pipeline.sources.formats.realmistake import PASSWORD_VARIABLE
from errclust_pipeline.sources.parsing.archive import zipfile as archive_zipfile

REALMISTAKE_PASSWORD = "open-realmistake"  # published in its README
LEAST_SECONDS = 2.0
GSM8K_MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@dataclass(frozen=True)
class Case:
    """A file, how it is merely parsed, and by what library."""

    source: str
    path: Path
    library: str
    parse: Callable[[Path], object]
    options: dict[str, Any] = field(default_factory=dict)


def main() -> None:
    """Print a row for each kind of file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--times", type=int, default=5, help="at least so many times each")
    arguments = parser.parse_args()
    os.environ.setdefault(PASSWORD_VARIABLE, REALMISTAKE_PASSWORD)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(case, arguments.times) for case in cases(arguments.data, Path(folder))]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:,.2f}"))


def measure(case: Case, times: int) -> dict[str, Any]:
    """Time finding, reading and parsing."""
    submissions = find_submissions(case.path, options=case.options)

    def read() -> int:
        return sum(
            batch.responses.num_rows + batch.rejects.num_rows + batch.skipped
            for submission in submissions
            for batch in read_submission(submission)
        )

    rows = read()
    reading, parsing, finding = typical(
        times,
        read,
        lambda: case.parse(case.path),
        lambda: find_submissions(case.path, options=case.options),
    )
    return {
        "source": case.source,
        "rows": f"{rows:,}",
        "MB": sum(file.stat().st_size for file in files_at(case.path)) / 1e6,
        "read/s": f"{rows / reading:,.0f}",
        "parsed/s": f"{rows / parsing:,.0f}",
        "ratio": parsing / reading,
        "with finding": parsing / (reading + finding),
        "parsed by": case.library,
    }


def files_at(path: Path) -> list[Path]:
    """Return a file, or a folder's files."""
    return sorted(path.iterdir()) if path.is_dir() else [path]


def typical(times: int, *works: Callable[[], object]) -> list[float]:
    """Return the median of several times of each work, in seconds of processor time.

    They take turns, so that none has the machine in a better hour; short ones have more of them.
    """
    seconds: list[list[float]] = [[] for _ in works]
    while len(seconds[0]) < times or sum(map(sum, seconds)) < LEAST_SECONDS:
        for work, own in zip(works, seconds, strict=True):
            started = time.process_time()
            work()
            own.append(time.process_time() - started)
    return list(map(statistics.median, seconds))


def cases(data: Path, folder: Path) -> Iterator[Case]:
    """Yield what there is to measure, writing files where there is no real one."""
    yield Case("lm_eval", harness(data, folder), "orjson", parse_lines)
    mmlu_pro = data / "mmlu_pro" / "model_outputs_Qwen1.5-110B_5shots.zip"
    yield Case("mmlu_pro", mmlu_pro, "zipfile, orjson", parse_zips)
    yield Case("mmlu_pro, 8 models", mmlu_pro.parent, "zipfile, orjson", parse_zips)
    for log in inspect_logs(data, folder):
        is_archive = log.suffix == ".eval"
        yield Case(
            f"inspect, {log.suffix}",
            log,
            "zipfile, orjson" if is_archive else "orjson",
            parse_members if is_archive else parse_list,
        )
    gsm8k = solutions(data)
    table = pa.Table.from_pylist([one for one in gsm8k if one["model"] == GSM8K_MODELS[0]])
    csv, jsonl, parquet = (folder / f"gsm8k.{ending}" for ending in ("csv", "jsonl", "parquet"))
    pa_csv.write_csv(table, csv)
    jsonl.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in table.to_pylist()))
    pq.write_table(table, parquet)
    yield Case("table, CSV", csv, "pyarrow.csv", parse_csv)
    yield Case("table, JSON lines", jsonl, "orjson", parse_lines)
    yield Case("table, Parquet", parquet, "pyarrow.parquet", pq.read_table)
    yield Case("realmistake", data / "realmistake" / "data.zip", "zipfile, orjson", parse_encrypted)
    logits = uncertainty(mmlu_pro, folder)
    yield Case("llm_uncertainty", logits, "pickletools, orjson", parse_logits)
    judged = folder / "model" / "ARC.json"
    judged.parent.mkdir()
    judged.write_bytes(orjson.dumps([judged_answer(one) for one in gsm8k]))
    yield Case("osq_bench", judged, "orjson", parse_list)
    instances = folder / "abc_samples.jsonl"
    one_model = enumerate(table.to_pylist())
    instances.write_bytes(b"".join(orjson.dumps(instance(*one)) + b"\n" for one in one_model))
    yield Case("every_eval_ever", instances, "orjson", parse_lines)


def harness(data: Path, folder: Path) -> Path:
    """Write the harness's real rows many times."""
    [real] = (data / "lm_eval").glob("*/samples_*.jsonl")
    rows = [json.loads(line) for line in real.read_text().splitlines()]
    path = folder / real.name
    with path.open("wb") as file:
        for number in range(1_000):
            for row in rows:
                row["doc_id"] += 1_000 * bool(number)
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return path


def inspect_logs(data: Path, folder: Path) -> list[Path]:
    """Write Inspect's real samples many times, as JSON and as an archive compressed as today."""
    log = json.loads((data / "inspect" / "data_arc_qwen.json").read_bytes())
    log["samples"] = [
        {**sample, "id": f"{sample['id']}-{number}"}
        for number in range(600)
        for sample in log["samples"]
    ]
    whole, archive = folder / "log.json", folder / "log.eval"
    whole.write_bytes(orjson.dumps(log))
    samples = log.pop("samples")
    with archive_zipfile.ZipFile(archive, "w", archive_zipfile.ZIP_ZSTANDARD) as file:
        for sample in samples:
            name = f"samples/{sample['id']}_epoch_{sample['epoch']}.json"
            file.writestr(name, orjson.dumps(sample))
        file.writestr("header.json", orjson.dumps(log))
    return [archive, whole]


def instance(number: int, solution: dict[str, Any]) -> dict[str, Any]:
    """Return a solution in Every Eval Ever's shape."""
    return {
        "schema_version": "instance_level_eval_0.2.2",
        "evaluation_id": "gsm8k/model/1",
        "model_id": solution["model"],
        "evaluation_name": "gsm8k",
        "sample_id": str(number),
        "interaction_type": "single_turn",
        "input": {"raw": solution["input_text"], "reference": [solution["correct_answer"]]},
        "output": {"raw": [solution["output_text"]]},
        "answer_attribution": [{"extracted_value": "42", "is_terminal": True}],
        "evaluation": {"score": solution["score"], "is_correct": bool(solution["score"])},
        "metadata": {"subject": "sums"},
    }


def solutions(data: Path) -> list[dict[str, Any]]:
    """Return GSM8K's solutions by four models, a row each."""
    path = data / "grade_school_math" / "example_model_solutions.jsonl"
    return [
        {
            "example_id": f"{number}",
            "model": model,
            "input_text": row["question"],
            "output_text": row[model]["solution"],
            "score": float(row[model]["is_correct"]),
            "correct_answer": row["ground_truth"],
            "dataset": "gsm8k",
        }
        for number, row in enumerate(map(json.loads, path.read_text().splitlines()))
        for model in GSM8K_MODELS
    ]


def judged_answer(solution: dict[str, Any]) -> dict[str, Any]:
    """Return a solution in OSQ-bench's shape."""
    return {
        "question": solution["input_text"],
        "gold_answer": solution["correct_answer"],
        "os_answer": solution["output_text"],
        "os_eval": "Correct" if solution["score"] else "Incorrect",
        "mcq_answer": "C",
        "mcq_eval": True,
        "dataset": "ARC",
    }


def uncertainty(mmlu_pro: Path, folder: Path) -> Path:
    """Write 10,000 real questions with six options each, and logits of no model's."""
    with zipfile.ZipFile(mmlu_pro) as archive:
        rows = orjson.loads(archive.read(archive.namelist()[0]))
    suitable = [row for row in rows if len(row["options"]) >= 6][:10_000]
    questions = [
        {
            "source": "MMLU",
            "id": number,
            "question": row["question"],
            "context": None,
            "choices": dict(zip("ABCDEF", row["options"], strict=False)),
            "answer": "ABCDEF"[row["answer_index"] % 6],
            "answer_type": "label",
        }
        for number, row in enumerate(suitable)
    ]
    numbers = np.random.default_rng(0).normal(size=(len(questions), 6)).astype("f4")
    entries = [{"id": number, "logits_options": row} for number, row in enumerate(numbers)]
    (folder / "mmlu_10k.json").write_bytes(orjson.dumps(questions))
    path = folder / "Model-7b_mmlu_10k_base_icl1.pkl"
    path.write_bytes(pickle.dumps(entries))
    return path


def parse_lines(path: Path) -> object:
    """Parse JSON lines."""
    with path.open("rb") as file:
        return [orjson.loads(line) for line in file]


def parse_list(path: Path) -> object:
    """Parse a JSON list."""
    return orjson.loads(path.read_bytes())


def parse_zips(path: Path) -> None:
    """Parse the JSON list in a zip, or in each of a folder's."""
    for file in files_at(path):
        with zipfile.ZipFile(file) as archive:
            orjson.loads(archive.read(archive.namelist()[0]))


def parse_members(path: Path) -> object:
    """Parse the samples of an Inspect archive."""
    with archive_zipfile.ZipFile(path) as archive:
        return [orjson.loads(archive.read(name)) for name in archive.namelist()]


def parse_encrypted(path: Path) -> object:
    """Decrypt and parse ReaLMistake's files, all but its examples."""
    with zipfile.ZipFile(path) as archive:
        archive.setpassword(REALMISTAKE_PASSWORD.encode())
        return [
            orjson.loads(line)
            for name in archive.namelist()
            if name.endswith(".jsonl") and not name.endswith("example.jsonl")
            for line in archive.read(name).splitlines()
        ]


def parse_csv(path: Path) -> object:
    """Parse CSV, texts with line breaks among them."""
    return pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(newlines_in_values=True))


def parse_logits(path: Path) -> object:
    """Take a pickle apart, and parse its questions."""
    instructions = list(pickletools.genops(path.read_bytes()))
    return instructions, parse_list(path.parent / "mmlu_10k.json")


if __name__ == "__main__":
    main()
