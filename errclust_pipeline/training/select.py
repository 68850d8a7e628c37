"""Selecting training examples for a model's errors, from a pool or without one.

This is what `errclust select` does. Reading a pool is in `pool`, writing files in `export`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errclust_pipeline import __version__
from errclust_pipeline.analysis.selection import (
    ChosenCandidates,
    ModelDemand,
    choose_candidates,
    contaminated,
    model_demand,
    target_specifications,
)
from errclust_pipeline.embedding.embedder import EmbeddingModel
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.settings import Settings
from errclust_pipeline.training.export import export_examples, export_specifications
from errclust_pipeline.training.pool import TrainingExample, TrainingPool
from errclust_pipeline.views.demand import read_selection_inputs
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SelectedExamples:
    """A selection of training examples, and what there is to say about it.

    Attributes
    ----------
    partition : SubmissionPartition
    chosen : ChosenCandidates
    model : ModelDemand
    pool : TrainingPool or None
    budget : int
        The number of picks that were asked for.
    refused : mapping from reason to int
        Number of examples of the pool that are questions of the benchmark.
    specifications : DataFrame or None
        Without a pool: the examples to write.
    text_of : mapping from candidate or question id to text
    example_ids : mapping from question id to str
        The ids that the model's results give the questions.
    """

    partition: SubmissionPartition
    chosen: ChosenCandidates
    model: ModelDemand
    budget: int
    pool: TrainingPool | None
    refused: Mapping[str, int]
    specifications: pd.DataFrame | None
    text_of: Mapping[str, str]
    example_ids: Mapping[str, str]

    @property
    def picks(self) -> pd.DataFrame:
        """The picks, one row each."""
        return self.chosen.picks

    @property
    def suspects(self) -> list[dict[str, Any]]:
        """The errors on questions whose answer key is suspected."""
        return self.model.suspects

    def summary(self) -> str:
        """Say in a sentence how many examples were selected, and for which errors."""
        text = (
            f"{len(self.picks):,} picks for {len(self.model.rows):,} errors of the development "
            f"split; {len(self.model.held_out):,} questions are held out"
        )
        if len(self.picks) < self.budget:
            text += (
                f". These are fewer than the {self.budget:,} asked for: no other example adds "
                "anything, or its region has its maximum"
            )
        return text

    def about_pool(self) -> str:
        """Say how many of the pool's rows were used, and why others were not."""
        if self.pool is None:
            return (
                "No pool: the picks are errors to write examples like. They are benchmark "
                "questions, never training data."
            )
        refused = {f"refused: {reason}": count for reason, count in self.refused.items()}
        left_out = {**self.pool.left_out, **refused}
        names = ", ".join(f"{role} from {name}" for role, name in self.pool.columns.items())
        text = f"Pool: {len(self.pool.examples):,} examples ({names})"
        for reason, count in left_out.items():
            text += f"; {count:,} {reason.replace('_', ' ')}"
        return text

    def coverages(self) -> list[tuple[str, float]]:
        """Return the names and coverages of the selection and of the baselines."""
        return [("this selection", self.chosen.coverage), *self.chosen.baselines.items()]

    def to_json(self) -> dict[str, Any]:
        """Return the selection as JSON values, for scripts."""
        import json

        specifications = self.specifications
        return {
            "picks": json.loads(self.picks.to_json(orient="records")),
            "coverage": dict(self.coverages()),
            "pool_nearness": self.chosen.nearness if self.pool else None,
            "suggested_budget": self.chosen.suggested,
            "left_out": dict(self.pool.left_out) if self.pool else {},
            "refused": dict(self.refused),
            "specifications": None
            if specifications is None
            else json.loads(specifications.to_json(orient="records")),
            "suspected_faults": self.suspects,
            "held_out_questions": len(self.model.held_out),
        }

    def export(self, folder: Path, command: str) -> None:
        """Write the selection to a folder; see `training.export`."""
        about = {
            "Benchmark": self.partition.benchmark,
            "Model whose errors guided it": self.partition.model,
            "Made by": f"errclust {__version__}",
            "Command": command,
            "Selected": self.summary(),
        }
        held_out = {name: self.example_ids.get(name) for name in self.model.held_out}
        if self.pool is not None:
            example_of = {example.example_id: example for example in self.pool.examples}
            examples = [example_of[name] for name in self.picks["candidate_id"]]
            about |= {
                "Pool": self.pool.name,
                "Rows of the pool": self.about_pool().removeprefix("Pool: "),
            }
            export_examples(folder, examples, self.picks, held_out, about)
            return
        assert self.specifications is not None, "without a pool, there are specifications"
        rows = self.specifications.to_dict("records")
        for row in rows:
            row["exemplars"] = [
                {"question_id": name, "question": self.text_of[name]} for name in row["exemplars"]
            ]
        export_specifications(folder, [_plain(row) for row in rows], self.picks, held_out, about)


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row with None in place of the NaN that pandas has for a missing value."""
    return {str(name): None if value != value else value for name, value in row.items()}


def select_examples(
    store: Warehouse,
    partition: SubmissionPartition,
    settings: Settings,
    embedder: EmbeddingModel,
    budget: int,
    pool: TrainingPool | None,
    log: Callable[[str], None],
) -> SelectedExamples:
    """Select training examples for a model's errors on a benchmark.

    Parameters
    ----------
    store : Warehouse
    partition : SubmissionPartition
    settings : Settings
    embedder : EmbeddingModel
    budget : int
        Maximum number of picks.
    pool : TrainingPool or None
        Without one, the picks are errors, with specifications of the examples to write for them.
    log : callable
        Receives lines about what is embedded.

    Raises
    ------
    WarehouseError
        If the model's hot spots were not computed yet.
    """
    chosen_settings = settings.for_benchmark(partition.benchmark)
    inputs = read_selection_inputs(store, partition, chosen_settings.statistics.leave_out_artefacts)
    model = model_demand(inputs.evidence, chosen_settings.selection.development_share)
    known, labels = inputs.questions, inputs.labels
    questions = list(known.values())
    text_of = {name: row["question"] for name, row in known.items()}

    def vectors_of(rows: Sequence[Mapping[str, Any]]) -> Any:
        texts = {row["text_id"]: row["text"] for row in rows}
        vectors, _ = embed_texts(
            store.storage, embedder, [row["text_id"] for row in rows], texts, log
        )
        return vectors

    guiding = vectors_of([known[name] for name in model.questions.question_ids])
    if pool is None:
        ids = [model.questions.question_ids[row] for row in model.rows]
        chosen = choose_candidates(model, guiding, ids, guiding[model.rows], budget, labels)
        specifications = target_specifications(
            chosen.picks, model.questions, model.demand.weight, budget, labels
        )
        return SelectedExamples(
            partition, chosen, model, budget, None, {}, specifications, text_of, inputs.example_ids
        )
    candidates = vectors_of(
        [{"text_id": example.text_id, "text": example.instruction} for example in pool.examples]
    )
    reasons = contaminated(
        [example.instruction for example in pool.examples],
        [row["question"] for row in questions],
        candidates,
        vectors_of(questions),
    )
    kept = [row for row, reason in enumerate(reasons) if reason is None]
    refused = Counter(reason.value for reason in reasons if reason is not None)
    usable: list[TrainingExample] = [pool.examples[row] for row in kept]
    ids = [example.example_id for example in usable]
    chosen = choose_candidates(model, guiding, ids, candidates[kept], budget, labels)
    text_of |= {example.example_id: example.instruction for example in usable}
    return SelectedExamples(
        partition, chosen, model, budget, pool, dict(refused), None, text_of, inputs.example_ids
    )
