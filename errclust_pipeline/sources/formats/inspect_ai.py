"""Reader of Inspect AI logs: `.eval` archives and `.json` logs, finished or not.

A log is one model's run of one task; a sample of it is a row. The samples of an archive are files
of their own (`samples/<id>_epoch_<n>.json`), or, in its form for large ones, folders. What a log
says of the run stands in `header.json`, and until the run has ended in `_journal/start.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.parsing.archive import OpenZip, open_result_file, open_zip
from errclust_pipeline.sources.parsing.item_text import ItemText, SharedText
from errclust_pipeline.sources.parsing.json_stream import (
    MAX_ROW_BYTES,
    RowError,
    WrongEncodingError,
    parse_json_row,
    read_json_object,
)
from errclust_pipeline.sources.parsing.rows import (
    batches,
    constant_option,
    files_below,
    metadata_json,
    subject_in,
    text_of,
    texts_of,
)
from errclust_pipeline.sources.registry import RegisteredReader
from errclust_pipeline.sources.run_conditions import LIMIT, NO, YES, RunCandidate, settle_runs
from errclust_pipeline.sources.scoring import Scoring

_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's letters: correct, partially correct, incorrect, no answer."""

_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_NO_ANSWER_REASONS = frozenset({"invalid_response_format", "no_response", "refusal"})
_HEADERS = ("header.json", "_journal/start.json")
_FIRST_BYTES = 4096
_ATTACHMENT = "attachment://"
_CUT = "...\n(content truncated)"
_ONLY_SCORER = "score"
_EPOCH = re.compile(r"_epoch_(\d+)(?:/sample)?\.json$")
_LARGE_SAMPLE = "/sample.json"
_SAMPLES_COMPARED = 50
"""Number of samples whose inputs are compared."""

_FEWEST_INPUTS = 4
"""Minimum number of distinct inputs whose shared messages say something."""

_LONGEST_COMPARED = 100_000
_LONGEST_CONDITION = 100
_GENERATION_SETTINGS = frozenset(
    {
        "best_of", "frequency_penalty", "max_tokens", "presence_penalty", "reasoning_effort",
        "reasoning_tokens", "seed", "stop_seqs", "system_message", "temperature", "top_k", "top_p",
    }
)  # fmt: skip
_MODEL_ARGUMENTS = frozenset({"revision", "dtype", "torch_dtype", "quantization"})
_NO_CONDITIONS = frozenset(
    {
        "adaptive_connections", "attempt_timeout", "batch", "cache", "cache_prompt",
        "max_connections", "max_retries", "timeout",
    }
)  # fmt: skip
"""Settings that change how fast a run is, and not what is answered."""

_TOO_OLD = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Log:
    """What a log says of its run."""

    path: Path
    task: str
    model: str
    finished: bool
    created: datetime
    conditions: Mapping[str, str]
    scorers: tuple[str, ...] = ()


class InspectReader(RegisteredReader):
    """Inspect AI logs: the benchmark is the task, the model is named as in the log.

    If several logs have the same task, model and conditions, the newest one that ended well is the
    submission, else the newest; the files of the others are listed in its option `superseded`.
    Logs that differ in the task's arguments or in generation settings are submissions of their own
    (see `run_conditions`).

    With several epochs each answer to a question is a row, with the id `<sample id>#<epoch>`, the
    first epoch's rows first: all share the question's point on the map, whose mark is that of the
    first epoch that was scored.
    """

    name = "inspect"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the logs in a file or folder; of a folder those that can be read."""
        files = files_below(path) if path.is_dir() else [path]
        renamed = {name: constant_option(options, name) for name in ("benchmark", "model")}
        constant_option(options, "scorer")
        logs, problems = _logs(file for file in files if _may_be_a_log(file))
        if problems and (not logs or not path.is_dir()):
            raise problems[0]
        for option, there in (
            ("benchmark", {log.task for log in logs}),
            ("model", {log.model for log in logs}),
        ):
            if renamed[option] and len(there) > 1:
                raise SourceError(
                    f"{path} holds logs of {len(there)} {option}s, and option {option} names only "
                    "one: give one log, or leave the option out"
                )
        submissions = settle_runs(
            RunCandidate(
                Submission(
                    benchmark=renamed["benchmark"] or log.task,
                    model=renamed["model"] or log.model,
                    reader=self.name,
                    files=(str(log.path),),
                    revision=file_fingerprint(log.path),
                    options=dict(options),
                    conditions=log.conditions,
                    notes=_scorer_notes(log, options),
                ),
                log.created,
                log.finished,
            )
            for log in logs
        )
        left_out = tuple(f"{error}: left out" for error in problems)
        if submissions and left_out:
            first = dataclasses.replace(submissions[0], notes=(*submissions[0].notes, *left_out))
            submissions[0] = first
        return submissions

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream a log's samples, of each epoch one."""
        path = Path(submission.files[0])
        convert = _Conversion(
            constant_option(submission.options, "scorer"),
            _epochs(_run(_header(path), path)) > 1,
            Scoring.of_options(submission.options),
            _shared_input(value for _, value in islice(_samples(path), _SAMPLES_COMPARED)),
        )
        return batches(submission, batch_rows, _samples(path), convert.to_row, self.expects)


def _samples(path: Path) -> Iterator[tuple[int, Any]]:
    return _samples_of_archive(path) if _is_archive(path) else _samples_of_json(path)


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() == ".eval"


def _may_be_a_log(path: Path) -> bool:
    if _is_archive(path):
        return True
    if path.suffix.lower() != ".json":
        return False
    with path.open("rb") as file:
        start = file.read(_FIRST_BYTES)
    # Only what begins like a log: to parse every JSON file of a folder would take long.
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and all(
        f'"{name}"'.encode() in start for name in ("version", "status", "eval")
    )


def _logs(files: Iterable[Path]) -> tuple[list[_Log], list[SourceError]]:
    """Look at logs; return what they say of their runs, and what is wrong with the others."""
    logs, problems = [], []
    for file in files:
        try:
            logs.append(_log(file))
        except SourceError as error:
            problems.append(error)
    return logs, problems


def _log(path: Path) -> _Log:
    header = _header(path)
    run = _run(header, path)
    scorers = run.get("scorers")
    return _Log(
        path=path,
        task=_named(run, "task", path),
        model=_named(run, "model", path),
        finished=header.get("status") == "success",
        created=_time(run.get("created")),
        conditions=_conditions(run, path),
        scorers=tuple(
            str(scorer["name"])
            for scorer in (scorers if isinstance(scorers, list) else ())
            if isinstance(scorer, dict) and "name" in scorer
        ),
    )


def _conditions(run: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Return how the model was run: the task's arguments, generation settings and a limit."""
    conditions: dict[str, str] = {}
    arguments = run.get("task_args") or run.get("task_args_passed")
    for prefix, values in (
        ("task_", arguments),
        ("", run.get("model_generate_config")),
        ("model_", _chosen(run.get("model_args"), _MODEL_ARGUMENTS)),
    ):
        for name, value in values.items() if isinstance(values, dict) else ():
            if value is None or name in _NO_CONDITIONS:
                continue
            # A task's argument is called as it is, unless it is called like a setting.
            is_taken = prefix == "task_" and name in _GENERATION_SETTINGS
            called = f"{prefix}{name}" if is_taken or prefix == "model_" else str(name)
            conditions[called] = _condition(value, path)
    config = run.get("config")
    limit = config.get("limit") if isinstance(config, dict) else None
    if isinstance(limit, list) and len(limit) == 2 and all(type(end) is int for end in limit):
        limit = limit[1] - limit[0]
    if type(limit) is int:
        conditions[LIMIT] = str(limit)
    return conditions


def _condition(value: Any, path: Path) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    try:
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    except RecursionError as error:
        raise SourceError(f"{path}: the arguments of the run are nested too deeply") from error
    if len(text) <= _LONGEST_CONDITION:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{text[:_LONGEST_CONDITION]}~{digest}"


def _chosen(values: Any, names: Set[str]) -> dict[str, Any]:
    given = values if isinstance(values, dict) else {}
    return {name: value for name, value in given.items() if name in names}


def _scorer_notes(log: _Log, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which scorer decides, where a log has several and none was chosen."""
    if options.get("scorer") is not None or len(log.scorers) < 2:
        return ()
    first, *others = log.scorers
    return (
        f"{log.path} has {len(log.scorers)} scorers: {first} decides what is right. The others: "
        f"{', '.join(others)} (--scorer chooses)",
    )


def _named(run: Mapping[str, Any], what: str, path: Path) -> str:
    name = run.get(what)
    if not isinstance(name, str) or not name.strip():
        raise SourceError(f"{path} does not name its {what}: it is no log of Inspect AI")
    return name


def _run(header: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    run = header.get("eval")
    if not isinstance(run, dict):
        raise SourceError(
            f'{path} has no object "eval", which says what was run: it is no log of Inspect AI'
        )
    return run


def _header(path: Path) -> Mapping[str, Any]:
    """Return the part of a log that says what was run, and how that ended.

    Raises
    ------
    SourceError
        If the file is no log, or is damaged.
    """
    header: dict[str, Any] = {}
    if not _is_archive(path):
        for name, _, value in _entries(path):
            if isinstance(value, RowError) and name in ("", "eval"):
                raise SourceError(f"{path}: {value.detail}")
            header[name] = value
            if name == "eval":
                break
        return header
    with open_zip(path) as archive:
        for member in _HEADERS:
            if member in archive:
                value = parse_json_row(archive.read(member, MAX_ROW_BYTES))
                if not isinstance(value, dict):
                    detail = f" ({value.detail})" if isinstance(value, RowError) else ""
                    raise SourceError(f"{path}: {member} in it is no object{detail}")
                return value
    raise SourceError(f"{path} holds neither {' nor '.join(_HEADERS)}: it is no log of Inspect AI")


def _time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return _TOO_OLD
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _epochs(run: Mapping[str, Any]) -> int:
    config = run.get("config")
    epochs = config.get("epochs") if isinstance(config, dict) else None
    return epochs if isinstance(epochs, int) else 1


def _entries(path: Path) -> Iterator[tuple[str, int, Any]]:
    with open_result_file(path) as stream:
        try:
            yield from read_json_object(stream, "samples")
        except WrongEncodingError as error:
            raise SourceError(f"{path} {error}") from error


def _samples_of_json(path: Path) -> Iterator[tuple[int, Any]]:
    position = -1
    for name, number, value in _entries(path):
        if name == "samples":
            position = number
            yield number, value
        elif isinstance(value, RowError) and value.reason in ("truncated_file", "invalid_json"):
            yield position + 1, value
            return


def _samples_of_archive(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the samples, those of the first epoch first; where there are none, the summaries."""
    with open_zip(path) as archive:
        names = archive.names
        samples = [name for name in names if _is_sample(name)]
        large = [name for name in samples if name.endswith(_LARGE_SAMPLE)]
        attachments: dict[str, list[str]] = {_attachments_folder(name): [] for name in large}
        for name in names if large else ():
            folder = name.rpartition("/")[0]
            if folder in attachments:
                attachments[folder].append(name)
        position = 0
        for name in sorted(samples, key=_epoch_of_member):
            sample = _member(archive, name)
            if name.endswith(_LARGE_SAMPLE) and isinstance(sample, dict):
                texts = _attachment_texts(archive, attachments[_attachments_folder(name)])
                sample = texts if isinstance(texts, RowError) else {**sample, "attachments": texts}
                metadata = name.removesuffix(_LARGE_SAMPLE) + "/metadata.json"
                if isinstance(sample, dict) and metadata in archive:
                    sample["metadata"] = _member(archive, metadata)
            yield position, sample
            position += 1
        for name in _summaries(archive) if not samples else ():
            summaries = _member(archive, name)
            for summary in summaries if isinstance(summaries, list) else [summaries]:
                yield position, summary
                position += 1


def _is_sample(name: str) -> bool:
    return name.startswith("samples/") and _EPOCH.search(name) is not None


def _epoch_of_member(name: str) -> int:
    match = _EPOCH.search(name)
    return int(match[1][-9:]) if match else 0


def _summaries(archive: OpenZip) -> list[str]:
    if "summaries.json" in archive:
        return ["summaries.json"]
    journal = [name for name in archive.names if name.startswith("_journal/summaries/")]
    # Numbered, one a flush.
    return sorted(journal, key=lambda name: (len(name), name))


def _attachments_folder(large_sample: str) -> str:
    return large_sample.removesuffix(_LARGE_SAMPLE) + "/attachments"


def _attachment_texts(archive: OpenZip, names: list[str]) -> dict[str, str] | RowError:
    """Return a large sample's attachments by number: each file is a list, named by its first."""
    texts: dict[str, str] = {}
    for name in names:
        first = name.rpartition("/")[2].removesuffix(".json")
        part = _member(archive, name)
        if isinstance(part, RowError):
            return part
        if not isinstance(part, list) or not re.fullmatch("[0-9]{1,9}", first):
            return RowError("unreadable_sample", f"{name[:200]} is no list of attachments")
        texts |= {str(int(first) + number): text for number, text in enumerate(part)}
    return texts


def _member(archive: OpenZip, name: str) -> Any:
    """Return a member's JSON value, or a `RowError`: one that is damaged does not end the log."""
    try:
        return parse_json_row(archive.read(name, MAX_ROW_BYTES))
    except SourceError as error:
        return RowError("unreadable_sample", f"{name[:200]}: {error}", "")


class _Attachments:
    """Long texts of a sample, which its other texts refer to."""

    def __init__(self, texts: Any) -> None:
        self._texts = texts if isinstance(texts, dict) else {}
        self._left = MAX_ROW_BYTES

    def resolve(self, text: str) -> str:
        """Return the text that is referred to, or the one given.

        Raises
        ------
        ValueError
            If a few references would unfold to more than a row can hold.
        """
        if not text.startswith(_ATTACHMENT):
            return text
        text_there = self._texts.get(text.removeprefix(_ATTACHMENT))
        if not isinstance(text_there, str):
            return text
        self._left -= len(text_there)
        if self._left < 0:
            raise ValueError(f"its attachments unfold to more than {MAX_ROW_BYTES >> 20} MiB")
        return text_there


@dataclass(frozen=True)
class _SharedInput:
    """What the inputs of all samples share, and so is no part of a question.

    Attributes
    ----------
    messages : sequence of dict
        Messages at the start: worked examples. System messages are left out in any case.
    item : ItemText
        Takes the item out of the text that remains.
    """

    messages: Sequence[Any] = ()
    item: ItemText = field(default_factory=ItemText)

    def question(self, given: Any, attachments: _Attachments) -> str | None:
        """Return the text of a sample's own question."""
        text = self.text(given, attachments)
        return text if text is None else self.item.of(text)

    def text(self, given: Any, attachments: _Attachments) -> str | None:
        """Return the text of an input without the messages that all share."""
        if isinstance(given, list) and self.messages:
            messages = _asked_messages(given)
            if messages[: len(self.messages)] == self.messages:
                given = messages[len(self.messages) :]
        return _content(given, attachments, of_user=True)


def _shared_input(samples: Iterable[Any]) -> _SharedInput:
    """Compare the inputs of some samples."""
    given = [
        (sample["input"], sample.get("attachments"))
        for sample in samples
        if isinstance(sample, dict) and sample.get("input") is not None
    ]
    lists = [_asked_messages(value) for value, _ in given if isinstance(value, list)]
    try:
        distinct = {json.dumps(value, default=str)[:_LONGEST_COMPARED] for value, _ in given}
    except RecursionError:
        return _SharedInput()  # The row that is nested too deeply is rejected later.
    messages: list[Any] = []
    if len(distinct) >= _FEWEST_INPUTS and len(lists) == len(given):
        for position in range(min(map(len, lists)) - 1):
            if any(messages_of[position] != lists[0][position] for messages_of in lists):
                break
            messages.append(lists[0][position])
    # An example is a question with its answer: half of one stays.
    while messages and _role(messages[-1]) != "assistant":
        messages.pop()
    shared, texts = _SharedInput(messages), SharedText()
    for value, attachments in given:
        # What unfolds to too much is rejected later.
        with suppress(ValueError):
            if text := shared.text(value, _Attachments(attachments)):
                texts.add(text)
    return _SharedInput(messages, ItemText.of_options(texts.to_options()))


def _asked_messages(given: list[Any]) -> list[Any]:
    """Return the messages of an input but those of the system."""
    return [message for message in given if _role(message) not in ("system", "developer")]


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


class _Conversion:
    """Turns samples into rows, all scored by one scorer: the one chosen, else the first met."""

    def __init__(
        self, scorer: str | None, several_epochs: bool, scoring: Scoring, shared: _SharedInput
    ) -> None:
        self._scorer = scorer
        self._shared = shared
        self._several_epochs = several_epochs
        self._scoring = scoring

    def to_row(self, _position: int, value: Any) -> dict[str, Any] | RowError:
        """Return the columns of `responses` of a sample, or what is wrong with it."""
        if not isinstance(value, dict):
            kind = type(value).__name__
            return RowError("not_an_object", f"a sample is a {kind}, expected an object")
        if value.get("id") is None or value.get("input") is None:
            missing = "id" if value.get("id") is None else "input"
            return RowError("missing_field", f"the sample has no {missing}")
        if value.get("invalidation") is not None:
            return RowError("invalidated", "the sample was marked as invalid: run it again")
        scores = _scores(value)
        if isinstance(scores, RowError):
            return scores
        if self._scorer is None:
            self._scorer = str(next(iter(scores)))
        scored = _score(scores, self._scorer)
        if isinstance(scored, RowError):
            return scored
        metric, score = scored
        value_given = score.get("value")
        number = self._number(value_given)
        if number is None and value_given is not None:
            return RowError(
                "score_without_number",
                f"scorer {metric} gave {_short(score.get('value'))}, expected C, P, I, N, yes, no "
                f"or a number; {_scorers(scores)}"[:500],
            )
        if number is not None and math.isnan(number):
            reason = _short(score.get("reason") or "it does not say why")
            return RowError("no_score", f"scorer {metric} left the sample unscored: {reason}")
        return self._row(value, metric, score, number)

    def _number(self, value: Any) -> float | int | None:
        """Return a score as a number; a verdict in letters or words as the one on the scale."""
        share = float(value) if isinstance(value, bool) else None
        if isinstance(value, str):
            word = value.strip().lower()
            share = _VALUES.get(value, _WORDS.get(word))
            if share is None:
                try:
                    return float(word)
                except ValueError:
                    return None
        if share is not None:
            return self._scoring.of_share(share)
        return value if isinstance(value, int | float) else None

    def _row(
        self,
        value: Mapping[str, Any],
        metric: str,
        score: Mapping[str, Any],
        number: float | None,
    ) -> dict[str, Any] | RowError:
        attachments = _Attachments(value.get("attachments"))
        question = self._shared.question(value["input"], attachments)
        if not question or not question.strip():
            return RowError("missing_question", "the sample's input holds no text")
        if question.endswith(_CUT) and "output" not in value:
            return RowError("question_cut", "the log holds only a summary of the sample")
        choices = texts_of(value.get("choices"))
        gold, gold_choice = _answer(value.get("target"), choices)
        prediction, predicted_choice = _answer(score.get("answer"), choices)
        if prediction is not None and not prediction.strip():
            prediction = None
        response, stop_reason = _response(value.get("output"), attachments)
        identity, epoch = text_of(value["id"]), value.get("epoch", 1)
        several = self._several_epochs or epoch != 1
        metadata = value.get("metadata")
        details = metadata if isinstance(metadata, dict) else {}
        return {
            "example_id": f"{identity}#{text_of(epoch)}" if several else identity,
            "subject": subject_in(details),
            "question": question,
            "choices": choices,
            "gold": gold,
            "gold_choice": gold_choice,
            "response": response,
            # Most logs hold no answer both where the scorer found none and where it looks for
            # none.
            "extraction_recorded": prediction is not None or _says_no_answer(score),
            "prediction": prediction,
            "predicted_choice": predicted_choice,
            "score": number,
            "metric": metric,
            "finish_reason": stop_reason,
            "metadata": metadata_json(
                {
                    "epoch": epoch if several else None,
                    "limit": _kind(value.get("limit")),
                    **{str(key): detail for key, detail in details.items()},
                }
            ),
        }


def _scores(value: Mapping[str, Any]) -> dict[str, Any] | RowError:
    """Return what the scorers gave, by name."""
    scores = value.get("scores")
    if scores is None and value.get("score") is not None:
        # As the first version of the logs had it.
        scores = {_ONLY_SCORER: value["score"]}
    if isinstance(scores, dict) and scores:
        return scores
    if value.get("error") is not None:
        return RowError("sample_failed", f"the sample failed: {_message(value['error'])}")
    return RowError("no_score", "the sample was not scored: run `inspect score` on the log")


def _score(scores: Mapping[str, Any], scorer: str) -> tuple[str, dict[str, Any]] | RowError:
    """Return the full name of a scorer, with which of its values is meant, and what it gave."""
    name, part = scorer, ""
    if name not in scores:
        name, _, part = scorer.rpartition("/")
    result = scores.get(name)
    if not isinstance(result, dict):
        return RowError("no_score", f"scorer {scorer} gave no score; {_scorers(scores)}"[:500])
    given = result.get("value")
    if not isinstance(given, dict):
        if part:
            detail = f"scorer {name} gave one value, and no {part}; {_scorers(scores)}"
            return RowError("no_score", detail[:500])
        return name, result
    if not part and len(given) == 1:
        part = str(next(iter(given)))
    if part not in given:
        return RowError(
            "several_values",
            f"scorer {name} gave several values: choose one with option scorer (--scorer); "
            f"{_scorers(scores)}"[:500],
        )
    return f"{name}/{part}", {**result, "value": given[part]}


def _scorers(scores: Mapping[str, Any]) -> str:
    """List all scorers of a sample, with each of the values that a scorer gave, for a message."""
    names = []
    for name, result in scores.items():
        value = result.get("value") if isinstance(result, dict) else None
        names += [f"{name}/{part}" for part in value] if isinstance(value, dict) else [str(name)]
    return f"there are: {', '.join(names)}"


def _says_no_answer(score: Mapping[str, Any]) -> bool:
    if score.get("value") == "N" or score.get("answer") == "":
        return True
    reason = score.get("reason")
    return isinstance(reason, str) and reason in _NO_ANSWER_REASONS


def _answer(given: Any, choices: list[str] | None) -> tuple[str | None, int | None]:
    """Return an answer's text, and its position where it is one of the options.

    Options are named by letter; several answers come as a list or as ``A, C``.
    """
    if given is None:
        return None, None
    texts = [text_of(answer) or "" for answer in (given if isinstance(given, list) else [given])]
    if choices is not None:
        if len(texts) == 1 and texts[0] in choices:
            return texts[0], choices.index(texts[0])
        places = [_place(word) for text in texts for word in text.replace(",", " ").split()]
        distinct = len(set(places)) == len(places) > 0
        if distinct and all(0 <= place < len(choices) for place in places):
            named = "; ".join(choices[place] for place in places)
            return named, places[0] if len(places) == 1 else None
    return "; ".join(texts), None


def _place(name: str) -> int:
    """Return the position of the option that is named A to Z, then 1, 2, …; -1 for all else."""
    if len(name) == 1 and "A" <= name <= "Z":
        return ord(name) - ord("A")
    return 25 + int(name) if re.fullmatch("[1-9][0-9]{0,5}", name) else -1


def _response(output: Any, attachments: _Attachments) -> tuple[str | None, str | None]:
    """Return what the model wrote, and why it stopped; None of a sample without output."""
    if not isinstance(output, dict):
        return None, None
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return _content(output.get("completion"), attachments), None
    message = first.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return _content(content, attachments) or "", text_of(first.get("stop_reason"))


def _content(content: Any, attachments: _Attachments, of_user: bool = False) -> str | None:
    """Return the text of a message's content, of a list of parts, or of a list of messages.

    Parameters
    ----------
    of_user : bool
        Whether only the user's messages are taken, if there are any: the others are the task's own
        and the same for every question.
    """
    if isinstance(content, str):
        return attachments.resolve(content)
    if not isinstance(content, list):
        return text_of(content)
    parts = [part for part in content if isinstance(part, dict)]
    if of_user and any(part.get("role") == "user" for part in parts):
        parts = [part for part in parts if part.get("role") == "user"]
    texts = [_part(part, "text", attachments) for part in parts]
    if not any(texts):
        # A model that was stopped while it was thinking said nothing else.
        texts = [_part(part, "reasoning", attachments) for part in parts]
    return "\n".join(text for text in texts if text)


def _part(part: Mapping[str, Any], key: str, attachments: _Attachments) -> str | None:
    if "role" in part:
        return _content(part.get("content"), attachments)
    text = part.get(key)
    return attachments.resolve(text) if isinstance(text, str) else None


def _kind(limit: Any) -> str | None:
    return text_of(limit.get("type")) if isinstance(limit, dict) else text_of(limit)


def _message(error: Any) -> str:
    return _short(error.get("message") if isinstance(error, dict) else error)


def _short(value: Any) -> str:
    return (text_of(value) or "nothing")[:300]
