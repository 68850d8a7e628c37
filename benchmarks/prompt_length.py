"""How the time to find the questions of an lm-eval file grows with the length of its prompts.

``python benchmarks/prompt_length.py`` prints processor time by length. The exponent is that of the
last two sizes: 1 means that time grows in proportion to the prompts' length.
"""

from __future__ import annotations

import math
import time

from errclust_pipeline.sources.formats.lm_eval_questions import Questions, requests_of

SIZES = (2_000, 20_000, 200_000)
"""Repetitions of a phrase of 10 characters in each document's passage."""


def seconds(size: int) -> float:
    """Return the processor time to learn and to find the questions of six rows."""
    rows = []
    for number in range(6):
        document = {
            "passage": f"{number} " + "a b ab ac " * size,
            "question": f"What is number {number} called?",
        }
        prompt = f"{document['passage']}\n{document['question']}\nA:"
        rows.append({"doc": document, "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {}}}})
    start = time.process_time()
    questions = Questions.learn(rows)
    for row in rows:
        questions.of(row["doc"], requests_of(row["arguments"], questions.description), None)
    return time.process_time() - start


def main() -> None:
    """Print the time at each size, and the exponent."""
    seconds(100)
    times = {size: seconds(size) for size in SIZES}
    for size, taken in times.items():
        print(f"{10 * size:>10,} characters: {taken:.3f} s")
    *_, first, last = times.values()
    print(f"exponent {math.log(last / first) / math.log(SIZES[-1] / SIZES[-2]):.2f}")


if __name__ == "__main__":
    main()
