"""What a label writer is, and the one that needs no language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from errclust_pipeline.vocabulary import KEY_PHRASES

LABEL_CHARACTERS = 80
DESCRIPTION_CHARACTERS = 300

_FORM_WORDS = {
    "wrong_answer": "a wrong answer",
    "no_answer": "no answer that could be read off",
    "truncated": "a response cut short",
    "repetition": "a response that loops",
    "refusal": "a refusal",
    "empty": "an empty response",
}


@dataclass(frozen=True)
class Exemplar:
    """One member of a cluster, shown as an example; texts come from third parties, as they are."""

    example_id: str
    role: str
    """``central`` or ``diverse``."""
    question: str
    gold: str | None
    prediction: str | None
    failure_form: str
    response_tail: str | None


@dataclass(frozen=True)
class ClusterEvidence:
    """All that a writer may know of a cluster.

    Attributes
    ----------
    cluster_id : str
    parent_id : str or None
        None at level 1.
    parent_key_phrases : tuple of str
        Key phrases of the cluster that this one is part of; empty at level 1.
    size : int
        Errors in the cluster.
    key_phrases : tuple of str
        Frequent here and rare in the clusters beside it, best first. Letters, hyphens and spaces
        only, whatever the texts contain.
    sibling_key_phrases : tuple of tuple of str
        Those of the clusters beside it.
    exemplars : tuple of Exemplar
    main_subject, main_subject_share
        The members' most frequent subject, if they have any, and its share of them, 0 to 1.
    main_failure_form, main_failure_form_share
        Likewise.
    near_misses : tuple of Exemplar
        Errors of other clusters that lie nearest.
    parent_label : str or None
        The name of the cluster that this one is part of.
    part_key_phrases : tuple of tuple of str
        Key phrases of the clusters that are part of this one.
    sibling_labels : tuple of str
        Names that the clusters beside it have already.
    rejected_label, rejected_because : str or None
        A name given before, and why it will not do.
    """

    cluster_id: str
    parent_id: str | None
    parent_key_phrases: tuple[str, ...]
    size: int
    key_phrases: tuple[str, ...]
    sibling_key_phrases: tuple[tuple[str, ...], ...]
    exemplars: tuple[Exemplar, ...]
    main_subject: str | None
    main_subject_share: float
    main_failure_form: str
    main_failure_form_share: float
    near_misses: tuple[Exemplar, ...] = ()
    parent_label: str | None = None
    part_key_phrases: tuple[tuple[str, ...], ...] = ()
    sibling_labels: tuple[str, ...] = ()
    rejected_label: str | None = None
    rejected_because: str | None = None


@dataclass(frozen=True)
class ClusterLabel:
    """A cluster's name.

    Attributes
    ----------
    label, description, written_by
    cause : str or None
        One of `vocabulary.CAUSES`, where the writer suspects one.
    shares_one_thing : bool or None
        Whether the writer finds that the members really have something in common.
    best_members : tuple of str
        Ids of the members that show it best, as the writer has it.
    problem : str or None
        Why the writer's own label could not be used, where another stands in its place.
    reused_from : str or None
        ``model|cluster`` whose name this is.
    """

    label: str
    description: str | None
    written_by: str
    cause: str | None = None
    shares_one_thing: bool | None = None
    best_members: tuple[str, ...] = ()
    problem: str | None = None
    reused_from: str | None = None


@dataclass(frozen=True)
class JudgeCase:
    """A label and errors of which some are members and some are not."""

    label: ClusterLabel
    errors: tuple[Exemplar, ...]


class LabelWriter(Protocol):
    """Names clusters.

    A writer gets the clusters of a level all at once, so that one that calls a language model can
    ask for several at a time, report progress, and fall back on another writer for those it fails
    on; `ClusterLabel.written_by` says of each label who wrote it in the end.
    """

    @property
    def name(self) -> str:
        """How the writer is called in ``written_by``."""
        ...

    @property
    def writes_anew(self) -> bool:
        """Whether it makes sense to ask it again, with other examples; only such a one judges."""
        ...

    def write_all(self, evidence: Sequence[ClusterEvidence]) -> list[ClusterLabel]:
        """Name clusters: one label for each evidence, in the same order."""
        ...

    def judge_all(self, cases: Sequence[JudgeCase]) -> list[tuple[bool, ...] | None]:
        """Say of each error of each case whether its label is true of it.

        None for a case that was not judged; a writer that cannot judge returns only these.
        """
        ...


@dataclass(frozen=True)
class KeyPhraseLabelWriter:
    """Names a cluster by its key phrases: "unit conversion · kilometres, miles"."""

    name: str = KEY_PHRASES
    writes_anew: bool = False

    def judge_all(self, cases: Sequence[JudgeCase]) -> list[tuple[bool, ...] | None]:
        """Judge nothing."""
        return [None] * len(cases)

    def write_all(self, evidence: Sequence[ClusterEvidence]) -> list[ClusterLabel]:
        """Name clusters: one label for each evidence, in the same order."""
        return [self.write(cluster) for cluster in evidence]

    def write(self, evidence: ClusterEvidence) -> ClusterLabel:
        """Name one cluster."""
        first, *others = evidence.key_phrases or (_subject_words(evidence.main_subject),)
        label = f"{first} · {', '.join(others[:2])}" if others else first
        return ClusterLabel(
            label[:LABEL_CHARACTERS].rstrip(" ,·"),
            _description(evidence)[:DESCRIPTION_CHARACTERS],
            self.name,
        )


def _description(evidence: ClusterEvidence) -> str:
    errors = "1 error" if evidence.size == 1 else f"{evidence.size:,} errors"
    form = _FORM_WORDS.get(evidence.main_failure_form, evidence.main_failure_form)
    parts = [errors]
    if evidence.main_subject is not None:
        share = f"{evidence.main_subject_share:.0%}"
        parts.append(f"{share} of them in {_subject_words(evidence.main_subject)}")
    return ", ".join(parts) + f"; {evidence.main_failure_form_share:.0%} have {form}."


def _subject_words(subject: str | None) -> str:
    """Return a subject's name as plain words, whatever characters it holds."""
    if subject is None:
        return "unnamed"
    plain = "".join(c if c.isalnum() or c in "-.'&" else " " for c in subject)
    return " ".join(plain.split())[:LABEL_CHARACTERS] or "unnamed"
