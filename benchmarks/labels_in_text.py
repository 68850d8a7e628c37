"""Should the names of class labels be embedded with a classifier's texts, as choices are?

A question's choices belong to its text: they tell it from others. Class labels are the same for
every text, so they can only blur what differs. How much they do is measured here on short real
questions (MMLU-Pro's of less than 160 characters, without choices): how many of the ten nearest
neighbours of the texts alone remain when the labels' names are appended to each, and how often
neighbours share the question's category.

Run from the project's root, three minutes on a core::

    python benchmarks/labels_in_text.py ../shared/data/mmlu_pro
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from errclust_pipeline.analysis.knn_graph import cosine_neighbours
from errclust_pipeline.embedding.embedder import load_embedder
from errclust_pipeline.embedding.names import EMBEDDED_MODEL
from errclust_pipeline.sources import find_submissions, read_submission

NEIGHBOURS = 10
LONGEST = 160


def main() -> None:
    """Print neighbours kept and their purity for more and more labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder of MMLU-Pro result files")
    parser.add_argument("--questions", type=int, default=1_000)
    arguments = parser.parse_args()

    submission = find_submissions(arguments.data)[0]
    rows = [row for batch in read_submission(submission) for row in batch.responses.to_pylist()]
    short = [row for row in rows if len(row["question"]) < LONGEST]
    generator = np.random.default_rng(0)
    chosen = [short[at] for at in generator.choice(len(short), arguments.questions, replace=False)]
    texts = [row["question"] for row in chosen]
    subjects = np.array([row["subject"] for row in chosen])
    words = sorted({w for text in texts for w in text.lower().split() if w.isalpha()})
    made_up = [" ".join(generator.choice(words, 2)) for _ in range(77)]

    embedder = load_embedder(EMBEDDED_MODEL, None)
    alone = None
    for labels in ([], ["negative", "positive"], sorted(set(subjects.tolist())), made_up):
        embedded = embedder.embed(["\n".join([text, *labels]) for text in texts], lambda _: None)
        neighbours, _ = cosine_neighbours(embedded, NEIGHBOURS)
        alone = neighbours if alone is None else alone
        kept = np.mean(
            [len({*one} & {*two}) / NEIGHBOURS for one, two in zip(neighbours, alone, strict=True)]
        )
        purity = (subjects[neighbours] == subjects[:, None]).mean()
        print(f"{len(labels):3} labels  neighbours kept {kept:.3f}  same category {purity:.3f}")


if __name__ == "__main__":
    main()
