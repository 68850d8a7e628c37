"""Conditions of an evaluation run, and how several runs of one model on one benchmark are named.

Shots, chat template, reasoning effort or a task's arguments change what a model scores. Runs that
differ in them are therefore submissions of their own: the oldest one keeps the model's name, and
each other one is called after what differs, e.g. ``org/model@5-shot``. Adding a run so never
renames one that is recorded already.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from errclust_pipeline.sources.base import Submission

SHOTS = "shots"
"""Condition: how many worked examples the prompt shows."""

LIMIT = "limit"
"""Condition: how many questions a run was limited to. It tells no two runs apart, because the run
with more questions replaces the other one."""

YES, NO = "yes", "no"
"""Values of conditions that are given or not, such as a chat template."""

SUPERSEDED = "superseded"
"""Option of a submission: the files of runs that another run of the same conditions replaces."""

_LONGEST_LABEL = 80
_NO_WORD = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True)
class RunCandidate:
    """A run that a reader found: its submission, and what decides between it and others.

    Attributes
    ----------
    submission : Submission
        With the model's name as the files state it, and with the run's conditions.
    time : any
        Sorts the runs of one model and benchmark by their age.
    finished : bool
        Whether the run ended well; such a run is preferred.
    """

    submission: Submission
    time: Any
    finished: bool = True

    @property
    def rank(self) -> tuple[bool, float, Any]:
        """Sorts runs of equal conditions: finished ones, larger ones and newer ones last."""
        return self.finished, questions_at_most(self.submission.conditions), self.time


def settle_runs(candidates: Iterable[RunCandidate]) -> list[Submission]:
    """Choose one run for each benchmark, model and set of conditions, and name them apart.

    A run that was limited to fewer questions never replaces a larger one. Of runs with the same
    limit the newest counts. What is left out or renamed is said in the submission's `notes`.

    Returns
    -------
    list of Submission
        Sorted by benchmark and model.
    """
    groups: dict[tuple[str, str], dict[tuple[tuple[str, str], ...], list[RunCandidate]]] = {}
    for candidate in candidates:
        of_model = groups.setdefault(
            (candidate.submission.benchmark, candidate.submission.model), {}
        )
        key = tuple(sorted(distinguishing(candidate.submission.conditions).items()))
        of_model.setdefault(key, []).append(candidate)
    submissions: list[Submission] = []
    for of_conditions in groups.values():
        chosen = [_best(runs) for runs in of_conditions.values()]
        oldest = {
            id(best): min(run.time for run in runs)
            for best, runs in zip(chosen, of_conditions.values(), strict=True)
        }
        plain, *others = sorted(chosen, key=lambda run: (oldest[id(run)], run.submission.files))
        submissions.append(plain.submission)
        submissions += [
            named_apart(other.submission, plain.submission.conditions) for other in others
        ]
    return sorted(submissions, key=lambda submission: (submission.benchmark, submission.model))


def named_apart(submission: Submission, conditions: Mapping[str, str]) -> Submission:
    """Return a submission under a model's name that tells it from a run of other conditions."""
    label = difference_label(submission.conditions, conditions)
    name = f"{submission.model}@{label}"
    note = (
        f"{submission.files[0]} is a run of {submission.model} on {submission.benchmark} under "
        f"other conditions than the run of that name ({label}): it is recorded as {name}"
    )
    return dataclasses.replace(submission, model=name, notes=(*submission.notes, note))


def name_beside_recorded(
    found: Sequence[Submission], recorded: Callable[[str, str], Submission | None]
) -> list[Submission]:
    """Name submissions that were found so that none takes the place of a run of other conditions.

    A run whose conditions are recorded already under some name keeps that name. A run that was
    limited to fewer questions than the recorded one is left out, and the recorded one is returned
    in its place, with a note.

    Parameters
    ----------
    found : sequence of Submission
        As `settle_runs` named them.
    recorded : callable
        Returns what is recorded of a benchmark and model, or None.
    """
    plain = {(submission.benchmark, submission.model): submission for submission in found}
    named: list[Submission] = []
    for submission in found:
        name, at, label = submission.model.rpartition("@")
        sibling = plain.get((submission.benchmark, name)) if at else None
        if sibling is not None and label == difference_label(
            submission.conditions, sibling.conditions
        ):
            known = recorded(submission.benchmark, name)
            if known is not None and _is_same_run(known, submission):
                named.append(dataclasses.replace(submission, model=name, notes=()))
                continue
        named.append(_beside(submission, recorded(submission.benchmark, submission.model)))
    return named


def _beside(submission: Submission, known: Submission | None) -> Submission:
    """Name a run beside the one that is recorded under its name, or return the one that counts."""
    if known is None or set(known.files) == set(submission.files):
        return submission
    if known.conditions and submission.conditions and not _is_same_run(known, submission):
        return named_apart(submission, known.conditions)
    if questions_at_most(submission.conditions) < questions_at_most(known.conditions):
        note = (
            f"{submission.files[0]} is a run limited to {submission.conditions[LIMIT]} questions "
            f"of {submission.model} on {submission.benchmark}: left out for {known.files[0]}"
        )
        return dataclasses.replace(known, notes=(*submission.notes, note))
    return submission


def _is_same_run(one: Submission, other: Submission) -> bool:
    return distinguishing(one.conditions) == distinguishing(other.conditions)


def distinguishing(conditions: Mapping[str, str]) -> dict[str, str]:
    """Return the conditions by which two runs are told apart: all but the limit."""
    return {name: value for name, value in conditions.items() if name != LIMIT}


def questions_at_most(conditions: Mapping[str, str]) -> float:
    """Return the number of questions that a run was limited to; infinite if it was not limited."""
    try:
        return float(conditions.get(LIMIT, "inf"))
    except ValueError:
        return float("inf")


def difference_label(conditions: Mapping[str, str], others: Mapping[str, str]) -> str:
    """Say in which conditions a run differs from another one, briefly, e.g. ``5-shot``.

    Parameters
    ----------
    conditions : mapping from name to value
        Conditions of the run that is described.
    others : mapping from name to value
        Conditions of the run that it is compared with.
    """
    mine, theirs = distinguishing(conditions), distinguishing(others)
    names = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
    label = "+".join(_said(name, mine.get(name)) for name in names)
    if len(label) <= _LONGEST_LABEL:
        return label
    digest = hashlib.blake2b(label.encode("utf-8", "replace"), digest_size=3).hexdigest()
    return f"{label[: _LONGEST_LABEL - 7]}.{digest}"


def _said(name: str, value: str | None) -> str:
    if name == SHOTS and value is not None:
        return f"{_word(value)}-shot"
    if value is None:
        return f"{_word(name)}-unknown"
    named = {YES: _word(name), NO: f"no_{_word(name)}"}
    return named.get(value) or f"{_word(name)}-{_word(value)}"


def _word(text: str) -> str:
    """Return a text in characters that a key holds as they are; others become a short hash."""
    plain = _NO_WORD.sub("_", text).strip("_")
    if plain == text:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=2).hexdigest()
    return f"{plain}.{digest}".lstrip(".")


def _best(runs: list[RunCandidate]) -> RunCandidate:
    """Return the run that counts of those with equal conditions, which names the others."""
    best, *others = sorted(
        sorted(runs, key=lambda run: run.submission.files), key=lambda run: run.rank, reverse=True
    )
    if not others:
        return best
    notes = tuple(_why_left_out(other, best) for other in others)
    files = [file for other in others for file in other.submission.files]
    submission = dataclasses.replace(
        best.submission,
        options={**best.submission.options, SUPERSEDED: files},
        notes=(*best.submission.notes, *notes),
    )
    return dataclasses.replace(best, submission=submission)


def _why_left_out(other: RunCandidate, best: RunCandidate) -> str:
    if other.finished != best.finished:
        why = "is a run that did not end well"
    elif other.rank[1] < best.rank[1]:
        why = f"is a run limited to {other.submission.conditions[LIMIT]} questions"
    elif other.time == best.time:
        why = "is another run of the same time and conditions"
    else:
        why = "is an older run of the same conditions"
    return (
        f"{other.submission.files[0]} {why} of {other.submission.model} on "
        f"{other.submission.benchmark}: left out for {best.submission.files[0]}"
    )
