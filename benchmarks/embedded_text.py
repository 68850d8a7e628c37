"""Which text of an error should be embedded? The candidates beside each other.

Clusters at each level (our defaults) of the embeddings of four texts, by adjusted mutual
information (AMI, noise as a class of its own):

* on the demo, with the bugs that caused the errors;
* on real errors of models on MMLU-Pro, with the source (`src`) and category of the question, and
  with the failure form. What agrees with a question's source says *where* the model fails; what
  agrees with the failure form says *how*. Neither says why.

Run from the project's root::

    python benchmarks/embedded_text.py --data ../shared/data --cache /tmp/errclust_cache
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from cluster_quality import OURS, demo_errors, embed, mmlu_pro, parser, print_table, score_all

from errclust_pipeline.analysis.clustering import cluster_points
from errclust_pipeline.analysis.errors import DEFAULT_TEXT, error_text, failure_forms


def main() -> None:
    """Print a table for the demo and one for the real models."""
    arguments = parser(__doc__)
    arguments.add_argument("--errors", type=int, default=2500, help="errors taken of a real model")
    arguments.add_argument(
        "--models", nargs="+", default=["Mistral-7B-Instruct-v0.2", "Qwen1.5-110B"]
    )
    options = arguments.parse_args()

    demo = demo_errors(options.cache)
    demo["failure_form"] = failure_forms(demo)
    rows = []
    for _, part in demo.groupby(["model", "benchmark"]):
        rows += compare(part, {"bug": "bug", "form": "failure_form"}, options.cache)
    print(f"The default is {DEFAULT_TEXT}.\n\nDemo: mean over models and benchmarks")
    print_means(rows)

    rows = []
    for model in options.models:
        responses = mmlu_pro(options.data, model)
        errors = responses[~responses["correct"]].sample(options.errors, random_state=0)
        errors["failure_form"] = failure_forms(errors)
        truths = {"src": "src", "category": "subject", "form": "failure_form"}
        rows += compare(errors, truths, options.cache)
    print(f"\nMMLU-Pro: mean over {', '.join(options.models)}, {options.errors:,} errors of each")
    print_means(rows)


def texts(errors: pd.DataFrame) -> dict[str, list[str]]:
    """Return the candidates for the text to embed."""
    bare = errors.drop(columns="choices", errors="ignore")
    return {
        "question without choices": error_text(bare, "question").tolist(),
        "question": error_text(errors, "question").tolist(),
        "question_and_answer": error_text(errors, "question_and_answer").tolist(),
        "response": error_text(errors, "response").tolist(),
    }


def compare(errors: pd.DataFrame, truths: Mapping[str, str], cache: Path) -> list[dict[str, Any]]:
    """Return the scores of each candidate at each level."""
    return [
        {**row, "text": name}
        for name, written in texts(errors).items()
        for row in score_all(
            embed(written, cache),
            {truth: errors[column] for truth, column in truths.items()},
            {"ours": lambda vectors: cluster_points(vectors, OURS)},
        )
    ]


def print_means(rows: list[dict[str, Any]]) -> None:
    """Print the mean of each measure by text and level."""
    table = pd.DataFrame(rows).drop(columns=["method", "seconds"])
    print_table(
        table.groupby(["text", "level"], sort=False).mean().reset_index().to_dict("records")
    )


if __name__ == "__main__":
    main()
