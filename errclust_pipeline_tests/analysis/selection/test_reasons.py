import numpy as np
import pytest
from scipy import sparse

from errclust_pipeline.analysis.selection import (
    PICK_COLUMNS,
    SPECIFICATION_COLUMNS,
    DevelopmentQuestions,
    pick_table,
    select,
    target_specifications,
)

LABELS = {"1": "fractions", "1.1": "adding fractions", "2": "rivers"}


def questions():
    return DevelopmentQuestions(
        ("a", "b", "c", "d", "e", "f"),
        ("1.1", "1.1", "1", "2", "2", None),
        np.array([1.0, 1, 0, 1, 0, 1]),
        np.array([0.5, 0.75, 1, 0.25, 1, np.nan]),
        np.array([True, False, False, False, False, False]),
        ("truncated", "truncated", None, "wrong_answer", None, "wrong_answer"),
    )


def picks():
    graph = sparse.csr_matrix(
        np.array([[1, 0.8, 0, 0], [0.8, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    )
    wrong = np.array([0, 1, 3, 5])
    selection = select(graph, np.array([4.0, 2, 2, 1]), 3)
    vectors = np.array([[1.0, 0], [0.8, 0.6], [0, 1], [-1, 0]])
    names = ["a", "b", "d", "f"]
    return pick_table(selection, names, vectors, questions(), wrong, LABELS)


def test_each_pick_says_what_it_is_there_for():
    table = picks()
    assert list(table.columns) == list(PICK_COLUMNS)
    first, second, _ = table.to_dict("records")
    assert first["candidate_id"] == "a"
    assert (first["newly_covered"], first["newly_covered_ids"]) == (2, ["a", "b"])
    assert (first["region_id"], first["label"]) == ("1.1", "adding fractions")
    assert first["error_rate"] == 1
    assert first["others_error_rate"] == pytest.approx(0.375)
    assert first["hot_share"] == 0.5
    assert first["gain"] == pytest.approx(5.6 / 9)
    assert first["reason"] == (
        "Covers 2 errors (62.2% of the demand), mostly on adding fractions; there the model errs "
        "on 100% of questions, other models on 38%; 50% of them lie where it errs beyond "
        "difficulty."
    )
    assert second["candidate_id"] == "d"
    assert second["reason"].startswith("Covers 1 error better than the picks before (")
    assert (second["nearest_pick"], second["nearest_pick_similarity"]) == (1, 0)
    assert "nearest earlier pick: number 1, cosine 0.00" in second["reason"]


def test_specifications_divide_the_budget_and_name_exemplars_and_how_it_fails():
    table = target_specifications(picks(), questions(), np.array([4.0, 2, 0, 2, 0, 1]), 10, LABELS)
    assert list(table.columns) == list(SPECIFICATION_COLUMNS)
    assert table["examples"].sum() == 10
    by_region = {
        row["region_id"]: row for row in table.dropna(subset="region_id").to_dict("records")
    }
    fractions = by_region["1.1"]
    assert fractions["exemplars"] == ["a"]
    assert (fractions["questions"], fractions["errors"]) == (2, 2)
    assert fractions["demand_share"] == pytest.approx(6 / 9)
    assert (fractions["failure_form"], fractions["failure_form_share"]) == ("truncated", 1)
    assert "mostly of the form truncated" in fractions["instruction"]
    assert "examples on adding fractions" in fractions["instruction"]
    assert set(by_region) == {"1.1", "2"}
    assert len(table) == 3  # One error lies in no region.


def test_no_pick_gives_empty_tables():
    empty = select(sparse.csr_matrix((4, 4)), np.zeros(4), 3)
    table = pick_table(empty, list("abdf"), np.eye(4), questions(), np.array([0, 1, 3, 5]), LABELS)
    assert table.empty
    assert list(table.columns) == list(PICK_COLUMNS)
    assert target_specifications(table, questions(), np.zeros(6), 10, LABELS).empty
