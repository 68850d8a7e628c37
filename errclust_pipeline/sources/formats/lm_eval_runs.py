"""What lm-evaluation-harness says of a run: its samples files and the results file beside them.

Three layouts are known. Since 0.4.3 a run writes ``results_<time>.json`` and
``samples_<task>_<time>.jsonl``; with ``--output_path out/name.json`` the results file is called
``name_<time>.json``, and samples of several models may lie side by side. From 0.4.0 to 0.4.2 it
wrote ``results.json`` and ``<model_args>_<task>.jsonl``, a JSON list despite its ending. Samples
and results are paired by their time, or in the old layout by their folder.

What stands in a row is the concern of `lm_eval_rows` and `lm_eval_questions`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import SourceError
from errclust_pipeline.sources.parsing.rows import files_below, leaves
from errclust_pipeline.sources.run_conditions import LIMIT, NO, SHOTS, YES

MAX_RESULTS_BYTES = 256 << 20
"""Maximum size of a results file that is read."""

TIMESTAMP = r"(\d{4}[-_]\d{2}[-_]\d{2}T\d{2}[-_:.]\d{2}[-_:.]\d{2}(?:[-_:.]\d+)?)"
_SAMPLES = re.compile(rf"samples_(.+)_{TIMESTAMP}\.jsonl?(?:\.gz|\.zst)?")
_RESULTS = re.compile(rf"(.+)_{TIMESTAMP}\.json")
_OLD_SAMPLES = re.compile(r"(.+)\.jsonl(?:\.gz|\.zst)?")
_OLD_RESULTS = "results.json"
_OLD_NAME = re.compile(
    r"((?:[a-z_]+?(?:__|=))(?:[^_]|__)*?(?:,[a-z_]+?(?:__|=)(?:[^_]|__)*?)*)_((?!_)[A-Za-z0-9].*)"
)
"""Arguments of a model as a file's name holds them, and a task."""

_UNSAFE = re.compile(r"[\"<>:/|\\?*\[\]=]+")
_MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Arguments of a model that the harness names it after, in its order."""

_RANDOM_NAME = re.compile(r"[a-z0-9]{8}")
_CONDITION_ARGUMENTS = frozenset(
    {
        "chat_template_args", "dtype", "enable_thinking", "load_in_4bit", "load_in_8bit",
        "max_length", "quantization", "reasoning_effort", "revision", "think_end_token", "seed",
        "temperature", "top_k", "top_p", "max_gen_toks", "system_instruction",
    }
)  # fmt: skip
"""Arguments of a model that change what it answers."""

_DEFAULTS = {"revision": "main", "dtype": "auto"}
_LONGEST_CONDITION = 60


@dataclass(frozen=True)
class SamplesFile:
    """A samples file, by what its name says; the time is empty in the old layout."""

    path: Path
    task: str
    timestamp: str = ""
    model_args: str = ""

    @property
    def age(self) -> tuple[str, str]:
        """A key that sorts by time."""
        return time_key(self.timestamp)


@dataclass(frozen=True)
class RunResults:
    """What a results file says of the run; everything is empty where there is none."""

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def of_task(self, key: str, task: str) -> Any:
        """Return what a section of the file says of a task."""
        section = self.values.get(key)
        return section.get(task) if isinstance(section, dict) else None

    @property
    def model(self) -> str | None:
        """The model's name."""
        return _stated_name(self.values)

    @property
    def has_random_name(self) -> bool:
        """Whether the harness made the model's name up, another one in each run."""
        name = self.values.get("model_name")
        config = self.values.get("config")
        arguments = config.get("model_args") if isinstance(config, dict) else None
        return (
            isinstance(name, str)
            and _RANDOM_NAME.fullmatch(name) is not None
            and isinstance(config, dict)
            and "model_args" in config
            and not _named_argument(arguments)
        )

    def filters(self, task: str) -> list[str]:
        """Return the answer filters of a task, as its metrics are called ``metric,filter``."""
        scores = self.of_task("results", task)
        names = scores if isinstance(scores, dict) else {}
        found = [name.partition(",")[2] for name in names if "," in name and "_stderr" not in name]
        return list(dict.fromkeys(filter(None, found)))

    def higher_is_better(self, task: str, metric: str | None) -> bool | None:
        """Return the direction of a metric; None if the file does not state it."""
        directions = self.of_task("higher_is_better", task)
        direction = directions.get(metric) if isinstance(directions, dict) else None
        if direction is None:
            config = self.of_task("configs", task)
            listed = config.get("metric_list") if isinstance(config, dict) else None
            for entry in listed if isinstance(listed, list) else ():
                if isinstance(entry, dict) and entry.get("metric") == metric:
                    direction = entry.get("higher_is_better")
        return direction if isinstance(direction, bool) else None

    def description(self, task: str) -> str:
        """Return the template of the text before the worked examples."""
        config = self.of_task("configs", task)
        text = config.get("description") if isinstance(config, dict) else None
        return text if isinstance(text, str) and "{" in text else ""

    def output_type(self, task: str) -> str | None:
        """Return what the task asks of a model, e.g. ``multiple_choice``."""
        config = self.of_task("configs", task)
        kind = config.get("output_type") if isinstance(config, dict) else None
        return kind if isinstance(kind, str) else None

    def groups(self, task: str) -> list[str]:
        """Return the groups that a task is part of, the innermost first."""
        sections = self.values.get("group_subtasks")
        members = {
            group: parts
            for group, parts in (sections.items() if isinstance(sections, dict) else ())
            if isinstance(parts, list)
        }
        groups: list[str] = []
        wanted = {task}
        while True:
            found = [
                group
                for group, parts in members.items()
                if group not in groups and not wanted.isdisjoint(map(str, parts))
            ]
            if not found:
                return groups
            groups += found
            wanted |= set(found)

    def conditions(self, task: str) -> dict[str, str]:
        """Return how the model was run: shots, chat template, limit, revision and the like."""
        conditions: dict[str, str] = {}
        shots = self.of_task("n-shot", task)
        if type(shots) is int:
            conditions[SHOTS] = str(shots)
        for name in ("chat_template", "system_instruction", "fewshot_as_multiturn"):
            if name not in self.values:
                continue
            value = self.values[name]
            is_given = bool(value) and value != "null"
            if name == "system_instruction" and is_given:
                conditions[name] = _said(value)
            elif name != "fewshot_as_multiturn" or is_given:
                conditions[name] = YES if is_given else NO
        if conditions.get("system_instruction") == NO:
            del conditions["system_instruction"]
        config = self.values.get("config")
        if isinstance(config, dict):
            conditions |= _argument_conditions(config)
        if (limit := self.limit(task)) is not None:
            conditions[LIMIT] = str(limit)
        return conditions

    def limit(self, task: str) -> int | None:
        """Return to how many documents a run was limited; None if it was not limited."""
        samples = self.of_task("n-samples", task)
        counts = samples if isinstance(samples, dict) else {}
        effective, original = counts.get("effective"), counts.get("original")
        if type(effective) is int and type(original) is int:
            return effective if effective < original else None
        config = self.values.get("config")
        limit = config.get("limit") if isinstance(config, dict) else None
        if isinstance(limit, list):
            limit = limit[0] if limit else None
        if isinstance(limit, int | float) and not isinstance(limit, bool) and limit >= 1:
            return int(limit)
        return None


def _argument_conditions(config: Mapping[str, Any]) -> dict[str, str]:
    conditions: dict[str, str] = {}
    given = {
        name: value
        for name, value in _arguments(config.get("model_args")).items()
        if name in _CONDITION_ARGUMENTS
    }
    # Set by the harness also where nothing was given.
    revision = config.get("model_revision")
    if isinstance(revision, str) and revision:
        given.setdefault("revision", revision)
    given |= _arguments(config.get("gen_kwargs"))
    for name, value in given.items():
        if value is None or _DEFAULTS.get(name) == value:
            continue
        conditions[name] = _said(value)
    return conditions


def _arguments(arguments: Any) -> dict[str, Any]:
    """Return arguments that stand as an object, or as ``a=1,b=2``."""
    if isinstance(arguments, dict):
        return arguments
    if not isinstance(arguments, str):
        return {}
    pairs = (part.partition("=") for part in arguments.split(","))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    try:
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    except (RecursionError, ValueError, TypeError):
        text = repr(type(value))
    text = " ".join(text.split())
    if len(text) <= _LONGEST_CONDITION:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{text[:_LONGEST_CONDITION]}~{digest}"


def time_key(timestamp: str) -> tuple[str, str]:
    """Return a key that sorts a run's time: the digits of the second, and of its fraction."""
    digits = re.sub(r"\D", "", timestamp)
    return digits[:14], digits[14:].ljust(9, "0")


def run_time(path: str) -> tuple[str, str] | None:
    """Return a key that sorts samples files by the time in their name; None if there is none."""
    found = task_and_time(path)
    return time_key(found[1]) if found else None


def task_and_time(path: str) -> tuple[str, str] | None:
    """Return the task and time in a samples file's name; None if it is not named like one."""
    match = _SAMPLES.fullmatch(path.rpartition("/")[2])
    return (match[1], match[2]) if match else None


def samples_file(path: Path) -> SamplesFile | None:
    """Return what a samples file's name says, of today's layout; None if it is not named so."""
    found = task_and_time(path.name)
    return SamplesFile(path, *found) if found else None


def samples_below(folder: Path) -> list[SamplesFile]:
    """Return the samples files of a folder and its folders, of any layout."""
    files = list(files_below(folder))
    found = [samples for file in files if (samples := samples_file(file))]
    named = {samples.path for samples in found}
    for results in files:
        if results.suffix != ".json" or _RESULTS.fullmatch(results.name):
            continue
        beside = [
            file
            for file in files
            if file.parent == results.parent
            and file not in named
            and file != results
            and _OLD_SAMPLES.fullmatch(file.name)
        ]
        if beside and results.stat().st_size <= MAX_RESULTS_BYTES and _looks_old(results):
            found += [samples for file in beside if (samples := old_samples_file(file, results))]
    return found


def _looks_old(path: Path) -> bool:
    """Whether a JSON file begins like a results file, so that it is worth reading whole."""
    with path.open("rb") as file:
        start = file.read(200)
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and b'"results"' in start


def old_samples_file(path: Path, results: Path | None = None) -> SamplesFile | None:
    """Return what the name of a samples file of 0.4.0 to 0.4.2 says; None if it is not one.

    Parameters
    ----------
    results : Path, optional
        The results file of its folder; ``results.json`` if not given.
    """
    match = _OLD_SAMPLES.fullmatch(path.name)
    results = results or path.with_name(_OLD_RESULTS)
    if match is None or not results.is_file():
        return None
    values = results_in(results) or {}
    stem = match[1]
    config = values.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(arguments, str) and arguments:
        prefix = f"{_sanitized_old(arguments)}_"
        if _sanitized_old(stem).startswith(prefix):
            task = _sanitized_old(stem)[len(prefix) :]
            return SamplesFile(path, task, "", stem[: len(stem) - len(task) - 1])
    sections = [values.get(key) for key in ("configs", "results", "versions")]
    tasks = {str(name) for section in sections if isinstance(section, dict) for name in section}
    for task in sorted(tasks, key=len, reverse=True):
        if stem.endswith(f"_{task}"):
            return SamplesFile(path, task, "", stem.removesuffix(f"_{task}"))
    # Another run wrote its results over those of this one: the name itself has to tell.
    named = _OLD_NAME.fullmatch(stem)
    return SamplesFile(path, named[2], "", named[1]) if named else None


def is_results(path: Path) -> bool:
    """Whether a file is the harness's results; lighteval calls its own the same."""
    match = _RESULTS.fullmatch(path.name)
    if match is None or match[1] != "results":
        return False
    results = results_in(path)
    return results is None or "config_general" not in results


def results_in(path: Path) -> dict[str, Any] | None:
    """Return what a results file holds; None if it cannot be read."""
    try:
        if path.stat().st_size > MAX_RESULTS_BYTES:
            return None
        results = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):
        return None
    return results if isinstance(results, dict) else None


class ResultsOfFolders:
    """Finds the results of samples files, and reads each folder's results files once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_folder: dict[Path, dict[str, RunResults]] = {}

    def of(self, samples: SamplesFile) -> RunResults:
        """Return the results of the run that wrote a samples file."""
        folder = samples.path.parent
        if folder not in self._by_folder:
            self._by_folder[folder] = dict(self._in(folder))
        return self._by_folder[folder].get(samples.timestamp, RunResults())

    def _in(self, folder: Path) -> Iterator[tuple[str, RunResults]]:
        for path in sorted(folder.glob("*.json")):
            match = _RESULTS.fullmatch(path.name)
            if leaves(path, self._root) or (match is None and path.name != _OLD_RESULTS):
                continue
            if samples_file(path):
                continue
            values = results_in(path)
            if values is not None and _is_of_the_harness(values):
                yield match[2] if match else "", RunResults(path, values)


def _is_of_the_harness(values: Mapping[str, Any]) -> bool:
    return "config_general" not in values


def _stated_name(values: Mapping[str, Any]) -> str | None:
    name = values.get("model_name")
    if isinstance(name, str) and name.strip():
        return name
    sanitized = values.get("model_name_sanitized")
    if isinstance(sanitized, str) and sanitized.strip():
        return name_of_sanitized(sanitized)
    config = values.get("config")
    return _named_argument(config.get("model_args")) if isinstance(config, dict) else None


def _named_argument(arguments: Any) -> str | None:
    given = _arguments(arguments)
    names = (given.get(key) for key in _MODEL_KEYS)
    return next((name.strip() for name in names if isinstance(name, str) and name.strip()), None)


def model_of(samples: SamplesFile, results: RunResults) -> str:
    """Return the model's name: what the harness recorded, else what file or folder is called.

    Raises
    ------
    SourceError
        If nothing says which model it is.
    """
    if samples.model_args:
        stated = results.model
        # Another run may have overwritten the results file of the old layout.
        if stated and _sanitized_old(stated) in _sanitized_old(samples.model_args):
            return stated
        if found := _old_name(samples.model_args):
            return found
    if results.model:
        return results.model
    folder = samples.path.resolve().parent.name
    if not folder:
        raise SourceError(f"{samples.path}: no file says which model it is of: set option model")
    return name_of_sanitized(folder)


def _sanitized_old(name: str) -> str:
    return _UNSAFE.sub("__", name)


def _old_name(model_args: str) -> str | None:
    """Return the model in ``pretrained__org__name,dtype__float16``, as a file's name holds it."""
    for key in _MODEL_KEYS:
        if match := re.search(rf"(?:^|,){key}(?:__|=)([^,]+)", model_args):
            return name_of_sanitized(match[1])
    return None


def name_of_sanitized(name: str) -> str:
    """Return the model's name of a folder's: `org__model` is `org/model`."""
    return name.replace("__", "/", 1)


def name_notes(samples: SamplesFile, results: RunResults, model: str) -> tuple[str, ...]:
    """Say where a model's name is no good one, and what to do about it."""
    if results.has_random_name:
        return (
            f"{samples.path}: the run's arguments name no model, so the harness made up the name "
            f"{model!r}, another one in each run: name it with --model",
        )
    is_folder = model.startswith(("/", "./", "../", "~")) or model.count("/") > 1
    if is_folder:
        last = model.rstrip("/").rpartition("/")[2]
        return (
            f"{samples.path}: the model is called by its folder, {model}: --model {last} gives it "
            "a short name",
        )
    return ()


def counted_rows(files: Iterable[Path]) -> dict[Path, int]:
    """Count the lines of files, where no results file says how many documents a run had."""
    counts = {}
    for path in files:
        if not path.name.endswith(".jsonl"):
            continue
        lines = 0
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                lines += chunk.count(b"\n")
        counts[path] = lines
    return counts
