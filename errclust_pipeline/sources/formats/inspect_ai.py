"""Reader of Inspect AI logs: `.eval` archives and `.json` logs, finished or not.

A log is one model's run of one task; a sample of it is a row. The samples of an archive are files
of their own (`samples/<id>_epoch_<n>.json`), or, in its form for large ones, folders. What a log
says of the run stands in `header.json`, and until the run has ended in `_journal/start.json`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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
    text_of,
    texts_of,
)
from errclust_pipeline.sources.registry import RegisteredReader
from errclust_pipeline.sources.scoring import Scoring

_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's letters: correct, partially correct, incorrect, no answer."""

_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_NO_ANSWER_REASONS = frozenset({"invalid_response_format", "no_response", "refusal"})
_SUBJECT_KEYS = ("subject", "category", "topic")
_HEADERS = ("header.json", "_journal/start.json")
_FIRST_BYTES = 4096
_ATTACHMENT = "attachment://"
_CUT = "...\n(content truncated)"
_ONLY_SCORER = "score"
_EPOCH = re.compile(r"_epoch_(\d+)(?:/sample)?\.json$")
_LARGE_SAMPLE = "/sample.json"
_TOO_OLD = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Log:
    """What a log says of its run."""

    path: Path
    task: str
    model: str
    finished: bool
    created: datetime
    task_arguments: str


class InspectReader(RegisteredReader):
    """Inspect AI logs: the benchmark is the task, the model is named as in the log.

    Of several logs of the same task and model the newest one that ended well is the submission,
    else the newest; the files of the others are listed in its option `superseded`.

    With several epochs each answer to a question is a row, with the id `<sample id>#<epoch>`, the
    first epoch's rows first: all share the question's point on the map, whose mark is that of the
    first epoch that was scored.
    """

    name = "inspect"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the logs in a file or folder."""
        files = files_below(path) if path.is_dir() else [path]
        renamed = {name: constant_option(options, name) for name in ("benchmark", "model")}
        constant_option(options, "scorer")
        logs = [_log(file) for file in files if _may_be_a_log(file)]
        for option, there in (
            ("benchmark", {log.task for log in logs}),
            ("model", {log.model for log in logs}),
        ):
            if renamed[option] and len(there) > 1:
                raise SourceError(
                    f"{path} holds logs of {len(there)} {option}s, and option {option} names only "
                    "one: give one log, or leave the option out"
                )
        runs: dict[tuple[str, str], list[_Log]] = {}
        for log in logs:
            runs.setdefault((log.task, log.model), []).append(log)
        return [
            self._submission(
                renamed["benchmark"] or task, renamed["model"] or model, found, options
            )
            for (task, model), found in sorted(runs.items())
        ]

    def _submission(
        self, benchmark: str, model: str, logs: list[_Log], options: Mapping[str, Any]
    ) -> Submission:
        best, *others = sorted(logs, key=lambda log: (log.finished, log.created), reverse=True)
        for other in others:
            if other.task_arguments != best.task_arguments:
                raise SourceError(
                    f"{best.path} and {other.path} are both logs of {model} on {benchmark}, with "
                    f"other arguments of the task ({best.task_arguments[:200]} and "
                    f"{other.task_arguments[:200]}): give them one at a time with option benchmark "
                    "to name them apart"
                )
        kept = dict(options)
        if others:
            kept["superseded"] = [str(other.path) for other in others]
        return Submission(
            benchmark=benchmark,
            model=model,
            reader=self.name,
            files=(str(best.path),),
            revision=file_fingerprint(best.path),
            options=kept,
        )

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream a log's samples, of each epoch one."""
        path = Path(submission.files[0])
        convert = _Conversion(
            constant_option(submission.options, "scorer"),
            _epochs(_run(_header(path), path)) > 1,
            Scoring.of_options(submission.options),
        )
        samples = _samples_of_archive(path) if _is_archive(path) else _samples_of_json(path)
        return batches(submission, batch_rows, samples, convert.to_row, self.expects)


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


def _log(path: Path) -> _Log:
    header = _header(path)
    run = _run(header, path)
    try:
        arguments = json.dumps(
            run.get("task_args_passed", run.get("task_args")) or {}, sort_keys=True
        )
    except RecursionError as error:
        raise SourceError(f"{path}: the task's arguments are nested too deeply") from error
    return _Log(
        path=path,
        task=_named(run, "task", path),
        model=_named(run, "model", path),
        finished=header.get("status") == "success",
        created=_time(run.get("created")),
        task_arguments=arguments,
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
        found = self._texts.get(text.removeprefix(_ATTACHMENT))
        if not isinstance(found, str):
            return text
        self._left -= len(found)
        if self._left < 0:
            raise ValueError(f"its attachments unfold to more than {MAX_ROW_BYTES >> 20} MiB")
        return found


class _Conversion:
    """Turns samples into rows, all scored by one scorer: the one chosen, else the first met."""

    def __init__(self, scorer: str | None, several_epochs: bool, scoring: Scoring) -> None:
        self._scorer = scorer
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
                "or a number",
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
        question = _content(value["input"], attachments, of_user=True)
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
            "subject": next(
                (text_of(details[key]) for key in _SUBJECT_KEYS if details.get(key) is not None),
                None,
            ),
            "question": question,
            "choices": choices,
            "gold": gold,
            "gold_choice": gold_choice,
            "response": response,
            # Of a scorer that found no answer most logs hold nothing, as of one that looks for
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
                    **{str(key): one for key, one in details.items()},
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
    found = scores.get(name)
    if not isinstance(found, dict):
        known = ", ".join(map(str, scores))
        return RowError("no_score", f"scorer {scorer} gave no score; there are: {known}"[:500])
    given = found.get("value")
    if not isinstance(given, dict):
        if part:
            return RowError("no_score", f"scorer {name} gave one value, and no {part}")
        return name, found
    if not part and len(given) == 1:
        part = str(next(iter(given)))
    if part not in given:
        known = ", ".join(f"{name}/{key}" for key in given)
        return RowError(
            "several_values",
            f"scorer {name} gave several values: choose one with option scorer (--scorer); "
            f"there are: {known}"[:500],
        )
    return f"{name}/{part}", {**found, "value": given[part]}


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
    texts = [text_of(one) or "" for one in (given if isinstance(given, list) else [given])]
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
        Of messages those of the user only, if there are any: the others are the task's own, the
        same for every question.
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
