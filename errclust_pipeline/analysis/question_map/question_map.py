"""The map: which questions lie beside which, and in what region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.clustering.communities import nested_communities
from errclust_pipeline.analysis.clustering.layout import layout
from errclust_pipeline.analysis.clustering.points import DistinctPoints, points_with_links
from errclust_pipeline.analysis.clustering.settings import ClusteringSettings
from errclust_pipeline.analysis.knn_graph import (
    NEIGHBOURHOOD,
    FloatMatrix,
    IndexMatrix,
    nearest_neighbours,
    unit_vectors,
)
from errclust_pipeline.analysis.question_map.duplicates import near_duplicates
from errclust_pipeline.analysis.question_map.regions import region_paths
from errclust_pipeline.analysis.spatial.autocorrelation import MutualNeighbours, mutual_neighbours
from errclust_pipeline.analysis.spatial.smoothing import (
    STEPS,
    GraphKernel,
    graph_kernel,
    walk_graph,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class QuestionMapSettings:
    """Settings of `build_question_map`.

    Attributes
    ----------
    neighbours : int
        Neighbours kept of each question, k_max; statistics use the first k of them.
    exact_up_to : int
        Questions up to which neighbours are exact, by comparing all pairs; above, they are
        approximate.
    near_duplicate_similarity : float
        Cosine similarity from which on questions with the same numbers are one (see
        `near_duplicates`); above 1 nothing is collapsed.
    """

    neighbours: int = 300
    exact_up_to: int = 50_000
    near_duplicate_similarity: float = 0.98

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {self.neighbours}")
        if self.near_duplicate_similarity <= 0:
            raise ValueError(
                f"near_duplicate_similarity must be above 0, got {self.near_duplicate_similarity}"
            )


_DEFAULTS = QuestionMapSettings()
_REGION_DEFAULTS = ClusteringSettings()


def build_question_map(
    question_ids: Sequence[str],
    texts: Sequence[str],
    embeddings: npt.ArrayLike,
    settings: QuestionMapSettings = _DEFAULTS,
    region_settings: ClusteringSettings = _REGION_DEFAULTS,
    previous_regions: Mapping[str, str | None] | None = None,
) -> pd.DataFrame:
    """Build the map of a benchmark's questions.

    Time grows with the square of the number of questions up to ``settings.exact_up_to``, since all
    pairs are compared; memory grows with ``n * settings.neighbours``.

    Parameters
    ----------
    question_ids : sequence of str, length n
        Unique.
    texts : sequence of str, length n
        For telling near-duplicates from variants.
    embeddings : array, shape (n, dimensions)
    settings : QuestionMapSettings
    region_settings : ClusteringSettings
        How regions are found; its method must be "louvain".
    previous_regions : mapping from question id to region, optional
        Regions of the previous map, so that regions keep their names (see `region_paths`).

    Returns
    -------
    DataFrame
        With the columns of the table `question_map`, ordered by ``question_id`` whatever the order
        of the input. Only a question that stands for itself has neighbours; ``position`` counts
        these, and ``neighbours`` are positions.

    Raises
    ------
    ValueError
        If the lengths differ, an id repeats, an embedding is zero or not finite, or the regions'
        method is not "louvain".
    """
    vectors = np.asarray(embeddings, dtype=np.float32)
    _check(question_ids, texts, vectors, region_settings)
    n = len(question_ids)
    order = sorted(range(n), key=lambda row: question_ids[row])
    ids = [question_ids[row] for row in order]
    vectors = unit_vectors(vectors[order]) if n else vectors.reshape(0, 0)
    stands_for = near_duplicates(
        [texts[row] for row in order],
        vectors,
        settings.near_duplicate_similarity,
        settings.exact_up_to,
        region_settings.random_state,
    )
    kept, position_of = np.unique(stands_for, return_inverse=True)
    copies = np.bincount(position_of, minlength=len(kept)).astype(np.int32)
    neighbours, similarities = nearest_neighbours(
        vectors[kept], settings.neighbours, settings.exact_up_to, region_settings.random_state
    )
    points = _points(vectors[kept], copies, neighbours, similarities, region_settings)
    labels = (
        nested_communities(points, region_settings)
        if len(kept)
        else np.empty((0, region_settings.levels), dtype=np.int32)
    )
    paths = region_paths(labels, [ids[row] for row in kept], previous_regions)
    places: npt.NDArray[Any] = (
        layout(points, region_settings.random_state)
        if region_settings.layout and len(kept)
        else np.full((len(kept), 2), np.nan)
    )
    distinct = _DistinctQuestions(copies, neighbours, similarities, paths, places)
    return distinct.rows(ids, position_of, stands_for == np.arange(n))


def _check(
    question_ids: Sequence[str],
    texts: Sequence[str],
    vectors: FloatMatrix,
    region_settings: ClusteringSettings,
) -> None:
    """Raise a ValueError unless a map can be built of these."""
    if not len(question_ids) == len(texts) == len(vectors):
        raise ValueError(
            f"{len(question_ids)} question ids, {len(texts)} texts and {len(vectors)} embeddings: "
            "must be as many of each"
        )
    if len(set(question_ids)) < len(question_ids):
        raise ValueError("question ids must be unique")
    if region_settings.method != "louvain":
        raise ValueError(f"regions are found by louvain, not by {region_settings.method!r}")


@dataclass(frozen=True)
class _DistinctQuestions:
    """The questions that stand for themselves, by position.

    Attributes
    ----------
    copies : int32 array, shape (distinct,)
        Number of questions that each stands for, itself included.
    neighbours, similarities : arrays, shape (distinct, k_max)
    paths : sequence of str or None, length distinct
        Path of each question's smallest region.
    places : float array, shape (distinct, 2)
        Coordinates in the layout; NaN without one.
    """

    copies: npt.NDArray[np.int32]
    neighbours: IndexMatrix
    similarities: FloatMatrix
    paths: Sequence[str | None]
    places: npt.NDArray[Any]

    def rows(
        self, ids: Sequence[str], position_of: npt.NDArray[np.intp], own: npt.NDArray[np.bool_]
    ) -> pd.DataFrame:
        """Return the table `question_map`: a row per question, near-duplicates included.

        Parameters
        ----------
        ids : sequence of str, length n
            Ids of all questions.
        position_of : int array, shape (n,)
            Position of the question that stands for each.
        own : bool array, shape (n,)
            Whether the question stands for itself.
        """
        import pandas as pd

        count = len(self.copies)
        kernel = graph_kernel(self.neighbours, self.similarities) if count > 1 else None
        nearest = self.neighbours[:, :NEIGHBOURHOOD].ravel()
        in_degree = np.bincount(nearest, minlength=count)
        own_weights = kernel.own_weight if kernel else None
        return pd.DataFrame(
            {
                "question_id": pd.Series(ids, dtype="str"),
                "position": position_of.astype(np.int32),
                "stands_for_itself": own,
                "near_duplicates": self.copies[position_of] - 1,
                "region_id": pd.Series([self.paths[at] for at in position_of], dtype="str"),
                "in_degree": in_degree[position_of].astype(np.int32),
                "neighbours": _rows(self.neighbours, position_of, own),
                "similarities": _rows(self.similarities, position_of, own),
                "walk_own_weights": _walk_rows(own_weights, position_of, own),
                "walk_squares": _walk_rows(kernel.squares if kernel else None, position_of, own),
                "walk_cubes": _walk_rows(kernel.cubes if kernel else None, position_of, own),
                "x": self.places[position_of, 0].astype(np.float32),
                "y": self.places[position_of, 1].astype(np.float32),
            }
        )


def _points(
    vectors: FloatMatrix,
    copies: npt.NDArray[np.int32],
    neighbours: IndexMatrix,
    similarities: FloatMatrix,
    settings: ClusteringSettings,
) -> DistinctPoints:
    point_of = np.arange(len(vectors), dtype=np.int32)
    k = settings.neighbour_count(len(vectors))
    return points_with_links(vectors, point_of, copies, neighbours, similarities, k)


def _rows(
    matrix: npt.NDArray[Any], position_of: npt.NDArray[np.intp], own: npt.NDArray[np.bool_]
) -> list[Any]:
    return [matrix[at] if itself else None for at, itself in zip(position_of, own, strict=True)]


def _walk_rows(
    values: npt.NDArray[np.float64] | None,
    position_of: npt.NDArray[np.intp],
    own: npt.NDArray[np.bool_],
) -> list[Any]:
    if values is None:
        values = np.empty((0, len(own)))
    return _rows(values.T, position_of, own)


@dataclass(frozen=True)
class QuestionMap:
    """A map read back, ready to take marks.

    Attributes
    ----------
    question_ids : tuple of str, length n
        The questions that stand for themselves, by position.
    neighbours : int32 array, shape (n, k_max)
        Positions of the nearest other questions, nearest first.
    similarities : float32 array, shape (n, k_max)
        Their cosine similarities.
    region_ids : tuple of str or None, length n
        Path of each question's smallest region.
    position_of : mapping from question id to position
        Position of each question on the map, near-duplicates included.
    kernel : GraphKernel, optional
        For smoothing on the map; None if it has fewer than two questions.
    """

    question_ids: tuple[str, ...]
    neighbours: IndexMatrix
    similarities: FloatMatrix
    region_ids: tuple[str | None, ...]
    position_of: Mapping[str, int]
    kernel: GraphKernel | None

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> QuestionMap:
        """Make a map from the rows of the table `question_map`."""
        own = table[table["stands_for_itself"]].sort_values("position")
        k = len(own["neighbours"].iloc[0]) if len(own) else 0
        regions = own["region_id"]
        neighbours = _matrix(own["neighbours"], k, np.int32)
        similarities = _matrix(own["similarities"], k, np.float32)
        kernel = None
        if len(own) > 1:
            columns = (own[name] for name in ("walk_own_weights", "walk_squares", "walk_cubes"))
            moments = (_matrix(column, len(STEPS), np.float64).T for column in columns)
            kernel = GraphKernel(*walk_graph(neighbours, similarities), STEPS, *moments)
        return cls(
            tuple(own["question_id"]),
            neighbours,
            similarities,
            tuple(
                None if null else path
                for path, null in zip(regions.tolist(), regions.isna().tolist(), strict=True)
            ),
            dict(zip(table["question_id"].tolist(), table["position"].tolist(), strict=True)),
            kernel,
        )

    def __len__(self) -> int:
        return len(self.question_ids)

    @cached_property
    def mutual(self) -> MutualNeighbours:
        """Pairs of questions that are among each other's neighbours."""
        return mutual_neighbours(self.neighbours)

    def place(self, question_ids: Sequence[str], values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Put one value a question on the map.

        A near-duplicate's value goes to the question that stands for it, unless that has a value
        of its own; of several, the first in the order of question ids counts. Of several values of
        one question the first given counts.

        Parameters
        ----------
        question_ids : sequence of str, length m
        values : array of float, shape (m,)

        Returns
        -------
        float64 array, shape (n,)
            NaN where there is no value.

        Raises
        ------
        KeyError
            If a question is not on the map.
        """
        marks = np.full(len(self), np.nan)
        numbers = np.asarray(values, dtype=np.float64)
        positions = np.fromiter(
            (self.position_of[name] for name in question_ids), np.intp, len(question_ids)
        )
        own = np.fromiter(
            (
                self.question_ids[at] == name
                for at, name in zip(positions.tolist(), question_ids, strict=True)
            ),
            np.bool_,
            len(question_ids),
        )
        # What is written last stays.
        duplicates = sorted(np.flatnonzero(~own).tolist(), key=lambda row: (question_ids[row], row))
        for row in reversed(duplicates):
            marks[positions[row]] = numbers[row]
        marks[positions[own][::-1]] = numbers[own][::-1]
        return marks

    def region_labels(self) -> tuple[npt.NDArray[np.int32], list[list[str]]]:
        """Return the nested regions as numbers.

        Returns
        -------
        labels : int32 array, shape (n, levels)
            Coarsest level first; -1 where a question is in no region of that level. A region that
            is not divided further has no label at deeper levels, so each is there once.
        region_ids : list of list of str
            At each level, the region of each label.
        """
        paths = [path.split(".") if path else [] for path in self.region_ids]
        levels = max((len(path) for path in paths), default=0)
        labels = np.full((len(paths), levels), -1, dtype=np.int32)
        names: list[list[str]] = []
        for level in range(levels):
            at_level = [".".join(path[: level + 1]) if len(path) > level else "" for path in paths]
            found = sorted(
                set(at_level) - {""}, key=lambda name: [int(part) for part in name.split(".")]
            )
            number_of = {name: number for number, name in enumerate(found)} | {"": -1}
            labels[:, level] = [number_of[name] for name in at_level]
            names.append(found)
        return labels, names


def _matrix(rows: pd.Series[Any], k: int, dtype: Any) -> npt.NDArray[Any]:
    if not len(rows):
        return np.empty((0, k), dtype=dtype)
    return np.stack([np.asarray(row, dtype=dtype) for row in rows])
