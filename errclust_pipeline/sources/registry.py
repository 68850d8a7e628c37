"""The registry of readers: one entry a format, of results and of battles.

Everything that lists formats comes from here: the command line's help, error messages and the page
``docs/reference/formats.md``. This module imports no reader and no library, so that names and
descriptions cost nothing; `ReaderEntry.load` imports a reader when its files are read.

What belongs here is what is known of a format without opening a file. How its rows are converted
stands in the reader's own module.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

Kind = Literal["results", "battles"]
KINDS: tuple[Kind, ...] = ("results", "battles")

OPTIONS: dict[str, str] = {
    "benchmark": "the benchmark's name, where no file states it or another one is wanted",
    "model": "the model's name, where no file states it or another one is wanted",
    "threshold": "a score below this counts as an error, of scores from 0 to 1; 0.5 if not given",
    "scale": "the lowest and the highest score, e.g. 0:10; 0:1 if not given",
    "higher_is_better": "whether the highest score is the best one; true if not given",
    "null_scores": "what a response without a verdict (null) counts as: wrong, or leave_out",
    "metric": "the metric that decides what is correct",
    "filter": "the answer filter whose rows are used",
    "scorer": "the scorer that decides, or SCORER/VALUE if it gives several values",
    "columns": "which column holds what (`--column WHAT=COLUMN`, or a mapping file)",
    "models": "columns of each model, of a table with a column for each (mapping file)",
    "labels": "the names of class labels, in the order of their numbers (mapping file)",
    "rows": "where the records stand in a file that is one JSON object (mapping file)",
    "join": "a second file whose rows are joined by a key (mapping file)",
    "battles": "which column of a table of battles holds what, and who wins (mapping file)",
    "split": "the split, of a dataset that has several",
}
"""Every option that a reader can take, and what it sets."""

_NAMES = frozenset({"benchmark", "model"})
_SCORED = _NAMES | {"threshold", "scale", "higher_is_better", "null_scores"}
"""Options of every reader of results; see `sources.scoring`."""


@dataclass(frozen=True)
class ReaderEntry:
    """One format: what it is called, which files it takes and where its reader is.

    Attributes
    ----------
    name : str
        The format's name in options, records and messages.
    kind : {"results", "battles"}
        Whether its files hold scored responses or verdicts on pairs of responses.
    summary : str
        The format in a few words, for lists.
    expects : str
        One line on the files it takes, for error messages and the page of formats.
    reader : str
        The reader's class, as ``package.module:Class``.
    options : frozenset of str
        The options that it takes, of `OPTIONS`.
    """

    name: str
    kind: Kind
    summary: str
    expects: str
    reader: str
    options: frozenset[str] = _SCORED

    @cached_property
    def instance(self) -> Any:
        """The reader, imported when it is first asked for."""
        module, _, name = self.reader.partition(":")
        return getattr(importlib.import_module(module), name)()


_FORMATS = "errclust_pipeline.sources.formats"
_BATTLES = "errclust_pipeline.sources.battles"

REGISTRY: tuple[ReaderEntry, ...] = (
    ReaderEntry(
        "lm_eval",
        "results",
        "lm-evaluation-harness output folders",
        "lm-evaluation-harness outputs: samples_<task>_<time>.jsonl (or .json), alone or in "
        "folders, written with --log_samples",
        f"{_FORMATS}.lm_eval:LmEvalReader",
        _SCORED | {"metric", "filter"},
    ),
    ReaderEntry(
        "inspect",
        "results",
        "Inspect AI logs",
        "Inspect AI logs: .eval, or .json as `inspect log dump` writes it",
        f"{_FORMATS}.inspect_ai:InspectReader",
        _SCORED | {"scorer"},
    ),
    # Before MMLU-Pro's reader, which reports what is wrong with any archive it does not know.
    ReaderEntry(
        "realmistake",
        "results",
        "ReaLMistake",
        "ReaLMistake as its authors publish it: data.zip, its .jsonl files, or those of the hub "
        "(.parquet, .jsonl); the zip's password in ERRCLUST_REALMISTAKE_PASSWORD",
        f"{_FORMATS}.realmistake:RealMistakeReader",
    ),
    ReaderEntry(
        "mmlu_pro",
        "results",
        "MMLU-Pro result archives",
        "MMLU-Pro results as TIGER-Lab publishes them: model_outputs_<MODEL>_5shots.zip (or .json)",
        f"{_FORMATS}.mmlu_pro:MmluProReader",
    ),
    ReaderEntry(
        "open_llm_leaderboard_v1",
        "results",
        "details of the first Open LLM Leaderboard",
        "details of the first Open LLM Leaderboard: details_harness|<task>|<shots>_<time>.parquet, "
        "in folders as on the hub",
        f"{_FORMATS}.open_llm_leaderboard_v1:OpenLlmLeaderboardV1Reader",
        _SCORED | {"metric"},
    ),
    ReaderEntry(
        "llm_uncertainty",
        "results",
        "logits of LLM-Uncertainty-Bench",
        "logits of LLM-Uncertainty-Bench, <model>_<task>_<prompt>_icl<shots>.pkl, and the task's "
        "questions, <task>.json, in the same folder or in a folder data beside it",
        f"{_FORMATS}.llm_uncertainty:LlmUncertaintyReader",
    ),
    ReaderEntry(
        "osq_bench",
        "results",
        "judged answers of OSQ-bench",
        "judged answers of OSQ-bench, <model>/<set>.json or the hub's Parquet files, with the "
        "fields question, gold_answer, os_answer and os_eval",
        f"{_FORMATS}.osq_bench:OsqBenchReader",
    ),
    ReaderEntry(
        "every_eval_ever",
        "results",
        "per-instance files of Every Eval Ever",
        "per-instance files of Every Eval Ever (.jsonl, schema instance_level_eval)",
        f"{_FORMATS}.every_eval_ever:EveryEvalEverReader",
    ),
    ReaderEntry(
        "promptfoo",
        "results",
        "results of promptfoo",
        "results of promptfoo, as `promptfoo eval -o` writes them (.json or .jsonl)",
        f"{_FORMATS}.promptfoo:PromptfooReader",
        _SCORED | {"metric"},
    ),
    ReaderEntry(
        "deepeval",
        "results",
        "test runs of DeepEval",
        "test runs of DeepEval: test_run_<time>.json with testCases and metricsData",
        f"{_FORMATS}.deepeval:DeepEvalReader",
        _SCORED | {"metric"},
    ),
    ReaderEntry(
        "verifiers",
        "results",
        "outputs of verifiers",
        "outputs of verifiers: traces.jsonl, or the older results.jsonl (with metadata.json)",
        f"{_FORMATS}.verifiers:VerifiersReader",
        _SCORED | {"metric"},
    ),
    ReaderEntry(
        "lighteval",
        "results",
        "details of lighteval",
        "details of lighteval: details/<model>/<time>/details_<task>_<time>.parquet",
        f"{_FORMATS}.lighteval:LightevalReader",
        _SCORED | {"metric"},
    ),
    # Last, because it takes most files.
    ReaderEntry(
        "table",
        "results",
        "any table with a column for each thing known",
        "a table (.csv, .tsv, .json, .jsonl, .parquet, .arrow) with the columns input_text and "
        "score, and if there are: example_id, model, output_text, correct_answer, dataset (option "
        "columns, or a mapping file, says other names)",
        f"{_FORMATS}.table:TableReader",
        _SCORED | {"columns", "split", "labels", "models", "rows", "join"},
    ),
    ReaderEntry(
        "lmsys",
        "battles",
        "MT-bench human judgments, Chatbot Arena conversations",
        "lmsys/mt_bench_human_judgments or lmsys/chatbot_arena_conversations, as Parquet or JSON, "
        "with model_a, model_b, winner, conversation_a, conversation_b, turn and judge",
        f"{_BATTLES}.lmsys:LmsysReader",
        frozenset({"benchmark"}),
    ),
    ReaderEntry(
        "fastchat",
        "battles",
        "FastChat's pairwise judgments",
        "FastChat's model_judgment/<judge>_pair.jsonl, with question.jsonl (and model_answer/) in "
        "the folder above; scores of single answers (<judge>_single.jsonl) are no battles",
        f"{_BATTLES}.fastchat:FastChatReader",
        frozenset({"benchmark"}),
    ),
    ReaderEntry(
        "llmfao",
        "battles",
        "llmfao's votes",
        "llmfao's crowd-comparisons.csv or gpt4-crowd-comparisons.csv, with pairs-crowd.jsonl "
        "beside it",
        f"{_BATTLES}.llmfao:LlmfaoReader",
        frozenset({"benchmark"}),
    ),
    ReaderEntry(
        "pandalm",
        "battles",
        "PandaLM's test set",
        "PandaLM's testset-v1.json: pairs with cmp_key, instruction, responses and annotators",
        f"{_BATTLES}.pandalm:PandalmReader",
        frozenset({"benchmark"}),
    ),
    # Last of the battles, because it takes any table with the columns of a battle.
    ReaderEntry(
        "battle_table",
        "battles",
        "tables of battles: Arena, AlpacaEval, your own",
        "a table of battles with model_a, model_b, prompt and winner (or the Arena's 55k, 100k and "
        "140k tables, FastChat's clean_battle, AlpacaEval's annotations, or battles in a mapping)",
        f"{_BATTLES}.battle_table:BattleTableReader",
        frozenset({"benchmark", "battles"}),
    ),
)
"""The formats, in the order in which their readers are asked whether a file is theirs.

Readers of battles are asked before those of results. To add a format, add an entry here; see
``docs/contributing/add-a-source.md``.
"""


def entries(kind: Kind | None = None) -> tuple[ReaderEntry, ...]:
    """Return the formats of a kind, or all of them, in the order in which they are asked."""
    return tuple(entry for entry in REGISTRY if kind in (None, entry.kind))


def entry(name: str) -> ReaderEntry:
    """Return a format by its name.

    Raises
    ------
    KeyError
        If there is no such format.
    """
    for candidate in REGISTRY:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


class RegisteredReader:
    """Base class of readers: takes what is known of the format from its entry.

    A reader states its `name` and nothing else of the entry.
    """

    name: str

    @property
    def expects(self) -> str:
        """One line on the files that the reader takes."""
        return entry(self.name).expects

    @property
    def options(self) -> frozenset[str]:
        """The options that the reader takes."""
        return entry(self.name).options


AnyReader = TypeVar("AnyReader")


class Readers(Mapping[str, AnyReader], Generic[AnyReader]):
    """The readers of a kind by name; each is imported when it is first looked up."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind

    def __getitem__(self, name: str) -> AnyReader:
        found = entry(name)
        if found.kind != self._kind:
            raise KeyError(name)
        reader: AnyReader = found.instance
        return reader

    def __contains__(self, name: object) -> bool:
        return any(entry.name == name for entry in entries(self._kind))

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in entries(self._kind))

    def __len__(self) -> int:
        return len(entries(self._kind))


def expected_files(names: Iterable[str]) -> str:
    """List formats with the files that they take, a line each, for an error message."""
    return "\n".join(f"  {name}: {entry(name).expects}" for name in names)


def reader_help() -> str:
    """List the formats for the help of ``--reader``."""
    results, battles = (
        ", ".join(f"{entry.name} ({entry.summary})" for entry in entries(kind)) for kind in KINDS
    )
    return f"The format: {results}; of battles {battles}."


def formats_as_markdown() -> str:
    """Return the page ``docs/reference/formats.md``, which the site writes from here."""
    lines = [
        "# Formats",
        "",
        "`errclust ingest` recognises these formats by their files. `--reader NAME` names one "
        "where that is in doubt. In a folder every reader takes the files of its format, in the "
        "order of these tables.",
    ]
    for kind in KINDS:
        lines += [
            "",
            f"## {kind.capitalize()}",
            "",
            "| `--reader` | takes | options |",
            "|---|---|---|",
        ]
        lines += [
            f"| `{entry.name}` | {_cell(entry.expects)} | "
            f"{', '.join(f'`{option}`' for option in OPTIONS if option in entry.options)} |"
            for entry in entries(kind)
        ]
    lines += ["", "## Options", "", "| option | sets |", "|---|---|"]
    lines += [f"| `{option}` | {_cell(what)} |" for option, what in OPTIONS.items()]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
