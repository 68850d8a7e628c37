"""The table of cluster labels: evidence of each cluster, put into words, and the words tested."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.arbitrary_order import arbitrary_order
from errclust_pipeline.analysis.knn_graph import FloatMatrix, unit_vectors
from errclust_pipeline.analysis.labelling.distinctiveness import (
    distinctiveness,
    is_nearly_the_same_name,
)
from errclust_pipeline.analysis.labelling.evidence import (
    Cluster,
    choose_exemplars,
    clusters_of,
    error_columns,
    exemplar_of,
    gather_evidence,
)
from errclust_pipeline.analysis.labelling.exemplars import centroid_similarity
from errclust_pipeline.analysis.labelling.faithfulness import (
    FEWEST_TO_TEST,
    Faithfulness,
    Mask,
    Unseen,
    balanced_accuracy,
    faithfulness_by_similarity,
    fits_another_better,
    set_aside,
    unseen,
)
from errclust_pipeline.analysis.labelling.key_phrases import content_words
from errclust_pipeline.analysis.labelling.writer import (
    ClusterEvidence,
    ClusterLabel,
    Exemplar,
    JudgeCase,
    KeyPhraseLabelWriter,
    LabelWriter,
)

if TYPE_CHECKING:
    import pandas as pd

MOST_JUDGED = 8
"""Members, and as many others, that a language model judges of each label."""
LEAST_OVERLAP_TO_REUSE = 0.6
"""Shared questions over all questions of two clusters, from which on one may have the other's
name."""
_FEWEST_OTHER_EXAMPLES = 3


Embed = Callable[[Sequence[str]], FloatMatrix]


@dataclasses.dataclass(frozen=True)
class KnownLabel:
    """A label that a language model gave a cluster of another model on the same benchmark.

    Attributes
    ----------
    source : str
        ``model|cluster``.
    label : ClusterLabel
    question_ids : frozenset of str
        The questions of its members.
    main_failure_form : str
    """

    source: str
    label: ClusterLabel
    question_ids: frozenset[str]
    main_failure_form: str


@dataclasses.dataclass(frozen=True)
class _Draft:
    """A label with what its tests say."""

    evidence: ClusterEvidence
    label: ClusterLabel
    by_similarity: Faithfulness | None = None
    by_judge: Faithfulness | None = None
    fits_another_better: bool = False

    @property
    def is_faithful(self) -> bool | None:
        """Whether a test shows that it tells members from others, and none the contrary.

        Nor may it fit a cluster beside it better. None if it could not be tested. A judge that
        finds that all errors fit, or none, has shown nothing: small models are like that.
        """
        tests = [one for one in (self.by_judge, self.by_similarity) if one is not None]
        if not tests:
            return None
        if self.fits_another_better or any(one.high < 0.5 for one in tests):
            return False
        return any(one.low > 0.5 for one in tests)

    @property
    def why_unfaithful(self) -> str | None:
        """Why it fails; None if it does not."""
        if self.is_faithful is not False:
            return None
        if self.fits_another_better:
            return "it fits a group beside it better"
        return "it did not tell members from other errors"


def label_clusters(
    errors: pd.DataFrame,
    embeddings: npt.ArrayLike,
    clusters: pd.DataFrame,
    writer: LabelWriter,
    embed: Embed | None = None,
    known: Sequence[KnownLabel] = (),
) -> pd.DataFrame:
    """Name the clusters of a model's errors, and test the names.

    The coarsest clusters are named first, so that the name of a subcluster can build on its
    parent's. A name is tested on members and other errors that its writer has not seen
    (`faithfulness`); half of each cluster is set aside for that. A name is rejected if it does not
    tell members from other errors, fits a sibling better, or is nearly a sibling's name. The writer
    then writes it once more from other examples, if it can. If the second name fails too, the key
    phrases replace it where they pass the test; otherwise it stays, marked as unfaithful.

    Parameters
    ----------
    errors : DataFrame
        The table `errors`.
    embeddings : array, shape (n, dimensions)
        Their embeddings, in the same order.
    clusters : DataFrame
        The table `error_clusters`.
    writer : LabelWriter
    embed : callable, optional
        Embeds texts as the errors' were; without it labels are not tested by similarity.
    known : sequence of KnownLabel, optional
        Labels that may be used again for clusters of mostly the same questions.

    Returns
    -------
    DataFrame
        With the columns of the table `cluster_labels`, coarsest level first, clusters in the order
        of their numbers; empty if there are no clusters. Labels are unique among the clusters of a
        parent.

    Raises
    ------
    ValueError
        If errors and embeddings are not as many, a cluster has a member that is not among the
        errors, or the writer returns another number of labels than it got clusters.
    """
    if len(errors) != len(np.asarray(embeddings)):
        raise ValueError(
            f"{len(errors)} errors but {len(np.asarray(embeddings))} embeddings: "
            "must be as many, in the same order"
        )
    found = clusters_of(errors, clusters)
    if not found:
        return _table([])
    vectors = unit_vectors(embeddings)
    labeller = _Labeller(errors, vectors, found, writer, embed, known)
    drafts: dict[str, _Draft] = {}
    for level in sorted({cluster.level for cluster in found}):
        drafts |= labeller.label_level(level, drafts)
    in_order = [drafts[cluster.cluster_id] for cluster in found]
    labels = _unique_among_siblings(
        [draft.evidence for draft in in_order], [draft.label for draft in in_order]
    )
    distinct: Sequence[float | None] = [None] * len(found)
    if labeller.is_tested:
        distinct = _distinctiveness(errors, found, labels)
    rows = []
    for cluster, draft, label, share in zip(found, in_order, labels, distinct, strict=True):
        row = _label_row(cluster, draft, label)
        row["share_of_errors"] = draft.evidence.size / len(errors)
        row["distinctiveness"] = share
        row["mean_similarity"] = float(centroid_similarity(vectors[cluster.members]).mean())
        rows.append(row)
    return _table(rows)


def _label_row(cluster: Cluster, draft: _Draft, label: ClusterLabel) -> dict[str, Any]:
    """Return the columns that follow from a cluster's evidence, its label and the label's tests."""
    evidence = draft.evidence
    return {
        "cluster_id": cluster.cluster_id,
        "level": cluster.level,
        "parent_id": cluster.parent_id,
        "size": evidence.size,
        "label": label.label,
        "description": label.description,
        "key_phrases": list(evidence.key_phrases),
        "written_by": label.written_by,
        "cause": label.cause,
        "shares_one_thing": label.shares_one_thing,
        **_test_columns("faithfulness", draft.by_similarity),
        **_test_columns("judged_faithfulness", draft.by_judge),
        "is_faithful": draft.is_faithful,
        "problem": label.problem or draft.why_unfaithful,
        "reused_from": label.reused_from,
        "main_failure_form": evidence.main_failure_form,
        "main_failure_form_share": evidence.main_failure_form_share,
        "main_subject": evidence.main_subject,
        "exemplars": [_as_row(exemplar) for exemplar in _best_first(evidence.exemplars, label)],
    }


class _Labeller:
    """Names clusters level by level, tests the names and has some written anew."""

    def __init__(
        self,
        errors: pd.DataFrame,
        vectors: FloatMatrix,
        found: Sequence[Cluster],
        writer: LabelWriter,
        embed: Embed | None,
        known: Sequence[KnownLabel],
    ) -> None:
        self._columns = error_columns(errors)
        self._row_of = {name: row for row, name in enumerate(self._columns["example_id"])}
        self._vectors, self._writer, self._embed, self._known = vectors, writer, embed, known
        self._clusters = {cluster.cluster_id: cluster for cluster in found}
        # Labels of a map's regions are tested neither by similarity nor by a judge.
        self.is_tested = embed is not None or writer.writes_anew
        self._aside: Mask = np.zeros(len(vectors), dtype=np.bool_)
        self._unseen: dict[str, Unseen] = {}
        if self.is_tested:
            groups = _finest(found, len(vectors))
            self._aside = set_aside(groups, self._columns["question_id"])
            self._unseen = {
                one.cluster_id: unseen(vectors, one.members, self._aside) for one in found
            }
        evidence = gather_evidence(
            errors, self._columns, vectors, found, self._aside, with_near_misses=self.is_tested
        )
        self._evidence = {one.cluster_id: one for one in evidence}

    def label_level(self, level: int, above: Mapping[str, _Draft]) -> dict[str, _Draft]:
        """Name the clusters of a level, given the names above it."""
        evidence = [
            self._with_parent(one, above)
            for name, one in self._evidence.items()
            if self._clusters[name].level == level
        ]
        reused = {one.cluster_id: self._reused(one) for one in evidence}
        to_write = [one for one in evidence if reused[one.cluster_id] is None]
        written = dict(
            zip((one.cluster_id for one in to_write), self._write(to_write), strict=True)
        )
        drafts = self._tested(
            [(one, reused[one.cluster_id] or written[one.cluster_id]) for one in evidence]
        )
        if self._writer.writes_anew:
            drafts |= self._written_anew(drafts)
        return drafts

    def _with_parent(
        self, evidence: ClusterEvidence, above: Mapping[str, _Draft]
    ) -> ClusterEvidence:
        parent = above.get(evidence.parent_id or "")
        label = parent.label.label if parent is not None else None
        return dataclasses.replace(evidence, parent_label=label)

    def _write(self, evidence: Sequence[ClusterEvidence]) -> list[ClusterLabel]:
        labels = self._writer.write_all(evidence) if evidence else []
        if len(labels) != len(evidence):
            raise ValueError(f"the writer gave {len(labels)} labels for {len(evidence)} clusters")
        return labels

    def _reused(self, evidence: ClusterEvidence) -> ClusterLabel | None:
        """Return another model's label of mostly the same questions failed in the same form."""
        own = {
            self._columns["question_id"][row] for row in self._clusters[evidence.cluster_id].members
        }
        best, overlap = None, LEAST_OVERLAP_TO_REUSE
        for one in self._known:
            if one.main_failure_form != evidence.main_failure_form:
                continue
            shared = len(own & one.question_ids) / max(len(own | one.question_ids), 1)
            if shared >= overlap and (best is None or shared > overlap):
                best, overlap = one, shared
        if best is None:
            return None
        return dataclasses.replace(best.label, reused_from=best.source, best_members=())

    def _written_anew(self, drafts: dict[str, _Draft]) -> dict[str, _Draft]:
        """Have written once more what fails its test or is nearly a sibling's name."""
        again: list[ClusterEvidence] = []
        for draft in drafts.values():
            # Where there was no answer, there will be none now.
            if draft.label.problem is not None:
                continue
            siblings = tuple(
                other.label.label
                for other in drafts.values()
                if other.evidence.parent_id == draft.evidence.parent_id
                and other.evidence.cluster_id != draft.evidence.cluster_id
            )
            name, why = draft.label.label, draft.why_unfaithful
            if why is None and any(is_nearly_the_same_name(name, other) for other in siblings):
                why = "a group beside it has nearly the same name"
            if why is None:
                continue
            again.append(
                dataclasses.replace(
                    self._with_other_examples(draft.evidence),
                    sibling_labels=siblings,
                    rejected_label=name,
                    rejected_because=why,
                )
            )
        second = self._tested(list(zip(again, self._write(again), strict=True)))
        key_phrases = self._tested(
            [
                (drafts[name].evidence, KeyPhraseLabelWriter().write(drafts[name].evidence))
                for name, draft in second.items()
                if draft.is_faithful is False or draft.label.problem is not None
            ],
            judged=False,
        )
        return {
            name: _best_of(drafts[name], draft, key_phrases.get(name))
            for name, draft in second.items()
        }

    def _with_other_examples(self, evidence: ClusterEvidence) -> ClusterEvidence:
        members = self._clusters[evidence.cluster_id].members
        shown = [self._row_of[one.example_id] for one in evidence.exemplars]
        rest = np.setdiff1d(members[~self._aside[members]], shown)
        if len(rest) < _FEWEST_OTHER_EXAMPLES:
            return evidence
        return dataclasses.replace(
            evidence, exemplars=choose_exemplars(self._columns, self._vectors, rest)
        )

    def _tested(
        self, labelled: Sequence[tuple[ClusterEvidence, ClusterLabel]], judged: bool = True
    ) -> dict[str, _Draft]:
        """Test labels on errors that their writer has not seen."""
        if not self.is_tested:
            return {one.cluster_id: _Draft(one, label) for one, label in labelled}
        drafts = {}
        vectors = self._label_vectors([label for _, label in labelled])
        for row, (evidence, label) in enumerate(labelled):
            by_similarity, fits_another = None, False
            if vectors is not None:
                sample, similar = self._unseen[evidence.cluster_id], self._vectors @ vectors[row]
                by_similarity = faithfulness_by_similarity(
                    similar[sample.members], similar[sample.others]
                )
                siblings = [
                    similar[self._unseen[name].members]
                    for name, other in self._evidence.items()
                    if other.parent_id == evidence.parent_id and name != evidence.cluster_id
                ]
                fits_another = fits_another_better(similar[sample.members], siblings)
            drafts[evidence.cluster_id] = _Draft(
                evidence, label, by_similarity, fits_another_better=fits_another
            )
        if judged and self._writer.writes_anew:
            for name, found in self._judged(drafts).items():
                drafts[name] = dataclasses.replace(drafts[name], by_judge=found)
        return drafts

    def _label_vectors(self, labels: Sequence[ClusterLabel]) -> FloatMatrix | None:
        if self._embed is None or not labels:
            return None
        vectors = self._embed([_text_of(label) for label in labels])
        # A label of words that the embedder does not know has a vector of no length, and is then
        # like nothing.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: FloatMatrix = np.divide(
            vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0
        )
        return unit

    def _judged(self, drafts: Mapping[str, _Draft]) -> dict[str, Faithfulness]:
        """Have labels judged that a language model wrote."""
        cases: dict[str, tuple[JudgeCase, list[bool]]] = {}
        for name, draft in drafts.items():
            sample = self._unseen[name]
            members = sample.members[:MOST_JUDGED]
            others = sample.others[: len(members)]
            if draft.label.problem is not None or len(others) < FEWEST_TO_TEST:
                continue
            rows = [(int(row), True) for row in members] + [(int(row), False) for row in others]
            rows.sort(key=lambda one: arbitrary_order(self._columns["example_id"][one[0]]))
            shown = tuple(exemplar_of(self._columns, row, "test") for row, _ in rows)
            cases[name] = JudgeCase(draft.label, shown), [is_member for _, is_member in rows]
        judged = self._writer.judge_all([case for case, _ in cases.values()]) if cases else []
        found = {}
        for (name, (_, is_member)), fits in zip(cases.items(), judged, strict=True):
            if fits is None:
                continue
            pairs = list(zip(fits, is_member, strict=True))
            found[name] = balanced_accuracy(
                sum(fit for fit, inside in pairs if inside),
                sum(is_member),
                sum(not fit for fit, inside in pairs if not inside),
                len(is_member) - sum(is_member),
            )
        return found


def _finest(found: Sequence[Cluster], errors: int) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each cluster that are in no part of it, and those in no cluster."""
    finest = np.full(errors, -1)
    for place, cluster in enumerate(found):
        # Coarsest first: the part has the last word.
        finest[cluster.members] = place
    return [np.flatnonzero(finest == place) for place in range(-1, len(found))]


def _best_of(first: _Draft, second: _Draft, key_phrases: _Draft | None) -> _Draft:
    """Choose between a label, the one written anew, and the key phrases."""
    if second.label.problem is None and second.is_faithful is not False:
        return second
    if first.is_faithful is not False:
        # Only its name was nearly a sibling's.
        return first
    if key_phrases is not None and key_phrases.is_faithful:
        why = "unfaithful: " + "; ".join(
            f'"{one.label.label}", {one.why_unfaithful}'
            for one in (first, second)
            if one.label.problem is None
        )
        return dataclasses.replace(
            key_phrases, label=dataclasses.replace(key_phrases.label, problem=why)
        )
    return second if second.label.problem is None else first


def _text_of(label: ClusterLabel) -> str:
    """Return the text that a label is tested by: what it says the errors are about."""
    if label.written_by == KeyPhraseLabelWriter.name or label.description is None:
        # The description of key phrases holds numbers only.
        return label.label
    return f"{label.label}. {label.description}"


def _test_columns(name: str, found: Faithfulness | None) -> dict[str, float | None]:
    ends = (None, None, None) if found is None else (found.accuracy, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def _best_first(shown: Sequence[Exemplar], label: ClusterLabel) -> list[Exemplar]:
    """Return exemplars with those first that the label's writer finds best."""
    return sorted(shown, key=lambda one: one.example_id not in label.best_members)


def _distinctiveness(
    errors: pd.DataFrame, found: Sequence[Cluster], labels: Sequence[ClusterLabel]
) -> list[float]:
    """Return for each label the share of its words that are not true of its siblings too."""
    named = {word for label in labels for word in content_words(label.label)}
    words = [content_words(text) & named for text in errors["text"].tolist()]
    shares = []
    for cluster in found:
        counts = Counter(word for row in cluster.members for word in words[row])
        shares.append({word: count / len(cluster.members) for word, count in counts.items()})
    families: dict[str | None, list[int]] = defaultdict(list)
    for place, cluster in enumerate(found):
        families[cluster.parent_id].append(place)
    result = []
    for place, cluster in enumerate(found):
        siblings = [other for other in families[cluster.parent_id] if other != place]
        others: dict[str, float] = {}
        for other in siblings:
            for word, share in shares[other].items():
                others[word] = max(others.get(word, 0.0), share)
        names = [labels[other].label for other in siblings]
        result.append(distinctiveness(labels[place].label, names, shares[place], others))
    return result


def _unique_among_siblings(
    evidence: Sequence[ClusterEvidence], labels: Sequence[ClusterLabel]
) -> list[ClusterLabel]:
    """Tell siblings of one name apart: by a key phrase not in it yet, else by a number."""
    taken: set[tuple[str | None, str]] = set()
    unique = []
    for what, label in zip(evidence, labels, strict=True):
        names = [label.label]
        names += [f"{label.label}, {p}" for p in what.key_phrases if p not in label.label]
        names += [f"{label.label} ({number})" for number in range(2, len(labels) + 2)]
        name = next(name for name in names if (what.parent_id, name) not in taken)
        taken.add((what.parent_id, name))
        unique.append(dataclasses.replace(label, label=name))
    return unique


def _as_row(exemplar: Exemplar) -> dict[str, str | None]:
    row = dataclasses.asdict(exemplar)
    del row["response_tail"]
    return row


def _table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    types = {
        "cluster_id": "str",
        "level": "int32",
        "parent_id": "str",
        "size": "int64",
        "share_of_errors": "float64",
        "label": "str",
        "description": "str",
        "key_phrases": "object",
        "written_by": "str",
        "cause": "str",
        "shares_one_thing": "boolean",
        "faithfulness": "float64",
        "faithfulness_low": "float64",
        "faithfulness_high": "float64",
        "judged_faithfulness": "float64",
        "judged_faithfulness_low": "float64",
        "judged_faithfulness_high": "float64",
        "is_faithful": "boolean",
        "distinctiveness": "float64",
        "problem": "str",
        "reused_from": "str",
        "main_failure_form": "str",
        "main_failure_form_share": "float64",
        "main_subject": "str",
        "mean_similarity": "float64",
        "exemplars": "object",
    }
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in types.items()}
    )
